"""Access tokens, checked before anything goes to a service, which checks them again by itself."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter

from services.common.exceptions import UnauthenticatedError
from services.common.tokens import Principal, TokenVerifier
from services.gateway.headers import Header

REFUSED_SECONDS = 5.0  # for which a refusal is remembered: a new key makes a token good


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal | None
    refusal: UnauthenticatedError | None
    until: float  # by the clock that tokens are dated with


class TokenChecker:
    """Remembers what the verifier said of a token, by its hash, until it expires, is revoked or loses its key."""

    def __init__(
        self, verifier: TokenVerifier, *, size: int, counter: Counter, clock: Callable[[], float] = time.time
    ) -> None:
        """Take the verifier and for how many tokens its word is kept."""
        self._verifier = verifier
        self._size = size
        self._counter = counter
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def check(self, headers: list[Header]) -> Principal:
        """Who asks. Raises UnauthenticatedError (401), or UnavailableError (503) without the keys of auth."""
        token = bearer_token(headers)
        digest = hashlib.sha256(token.encode("latin-1")).digest()
        known = self._known.get(digest)
        if known is not None and await self._holds(known):
            self._known.move_to_end(digest)
            self._counter.labels("remembered").inc()
        else:
            known = await self._ask(token)
            self._remember(digest, known)
            self._counter.labels("refused" if known.refusal else "accepted").inc()
        if known.refusal is not None:
            raise UnauthenticatedError(known.refusal.detail, challenge=known.refusal.headers["WWW-Authenticate"])
        assert known.principal is not None  # noqa: S101 - one of the two is there
        return known.principal

    async def _holds(self, known: _Known) -> bool:
        if known.until <= self._clock():
            return False
        if known.principal is None:
            return True
        # a key that auth has withdrawn takes its tokens with it
        keyed = await self._verifier.keys.get(known.principal.key_id) is not None
        return keyed and not self._verifier.is_revoked(known.principal)

    async def _ask(self, token: str) -> _Known:
        try:
            principal = await self._verifier.verify(token)
        except UnauthenticatedError as refusal:
            return _Known(None, refusal, self._clock() + REFUSED_SECONDS)
        return _Known(principal, None, principal.expires_at)

    def _remember(self, digest: bytes, known: _Known) -> None:
        if self._size:
            self._known[digest] = known
            self._known.move_to_end(digest)
            if len(self._known) > self._size:
                self._known.popitem(last=False)


def bearer_token(headers: list[Header]) -> str:
    """The one token of the Authorization header (RFC 6750 2.1). Raises UnauthenticatedError."""
    values = [value for name, value in headers if name == b"authorization"]
    scheme, _, token = (values[0] if values else b"").partition(b" ")
    if len(values) != 1 or scheme.lower() != b"bearer" or not token.strip():
        raise UnauthenticatedError("Send one header `Authorization: Bearer <access token>`")
    return token.strip().decode("latin-1")

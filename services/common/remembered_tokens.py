"""Tokens that come again: what can have changed since is asked each time, the signature is computed once."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import RSAKey
from prometheus_client import Counter

from services.common.exceptions import UnauthenticatedError
from services.common.jwks import KeysAwayError
from services.common.tokens import REVOKED, Principal, TokenVerifier, refusal

REMEMBERED = 10_000  # about a kilobyte each


@dataclass(frozen=True, slots=True)
class _Believed:
    principal: Principal
    key: RSAKey


@dataclass(frozen=True, slots=True)
class _Refused:
    detail: str | None
    challenge: str
    until: float  # by the clock that tokens are dated with


class RememberingVerifier(TokenVerifier):
    """Believes a token again without its signature being computed, as long as it would be believed anew.

    That is until it expires, by this process's clock and without leeway; while its key is the very one that is
    published, so at most until the next fetch of the keys; and unless it was revoked. Tokens stand in memory by their
    SHA-256 only.
    """

    def __init__(
        self,
        *args: Any,
        size: int = REMEMBERED,
        refused_seconds: float = 0.0,
        checks: Counter | None = None,
        **kwargs: Any,
    ) -> None:
        """Take what a TokenVerifier takes, and how many tokens are remembered: of more, those used last.

        A refusal is remembered for `refused_seconds`, and no longer: a new key may make the token good. `checks` counts
        by `result`: remembered, accepted, refused.
        """
        super().__init__(*args, **kwargs)
        self._size = size
        self._refused_seconds = refused_seconds
        self._checks = checks
        self._known: OrderedDict[bytes, _Believed | _Refused] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Check what may have changed, or everything. Raises UnauthenticatedError (401), UnavailableError (503)."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None and await self._holds(known):
            self._known.move_to_end(digest)
            self._count("remembered")
            return self._again(known)
        self._known.pop(digest, None)
        try:
            principal = await super().verify(token)
        except UnauthenticatedError as error:
            self._count("refused")
            if self._refused_seconds:
                until = self._clock() + self._refused_seconds
                self._remember(digest, _Refused(error.detail, error.headers["WWW-Authenticate"], until))
            raise
        self._count("accepted")
        key = await self.keys.get(principal.key_id)
        if key is not None:
            self._remember(digest, _Believed(principal, key))
        return principal

    async def _holds(self, known: _Believed | _Refused) -> bool:
        if isinstance(known, _Refused):
            return self._clock() < known.until
        if known.principal.expires_at <= self._clock():
            return False
        try:
            return await self.keys.get(known.principal.key_id) is known.key
        except KeysAwayError:  # the whole check says what that means
            return False

    def _again(self, known: _Believed | _Refused) -> Principal:
        if isinstance(known, _Refused):
            raise UnauthenticatedError(known.detail, challenge=known.challenge)
        if self.is_revoked(known.principal):
            raise refusal(REVOKED)
        return known.principal

    def _remember(self, digest: bytes, known: _Believed | _Refused) -> None:
        if self._size:
            self._known[digest] = known
            if len(self._known) > self._size:
                self._known.popitem(last=False)

    def _count(self, result: str) -> None:
        if self._checks is not None:
            self._checks.labels(result).inc()

"""Tokens that were believed once and come again: what can have changed since is asked each time, the rest is not."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import RSAKey

from services.common.jwks import KeysAwayError
from services.common.tokens import REVOKED, Principal, TokenVerifier, refusal

REMEMBERED = 10_000  # about a kilobyte each


@dataclass(frozen=True, slots=True)
class _Believed:
    principal: Principal
    key: RSAKey


class RememberingVerifier(TokenVerifier):
    """Believes a token again without its signature being computed, as long as it would be believed anew.

    That is until it expires, by this process's clock and without leeway; while its key is the very one that is
    published, so at most until the next fetch of the keys; and unless it was revoked. Refusals are not remembered.
    Tokens stand in memory by their SHA-256 only.
    """

    def __init__(self, *args: Any, size: int = REMEMBERED, **kwargs: Any) -> None:
        """Take what a TokenVerifier takes, and how many tokens are remembered: of more, those used last."""
        super().__init__(*args, **kwargs)
        self._size = size
        self._believed: OrderedDict[bytes, _Believed] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Check what may have changed, or everything. Raises UnauthenticatedError (401), UnavailableError (503)."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._believed.get(digest)
        if known is not None and await self._holds(known):
            if self.is_revoked(known.principal):
                raise refusal(REVOKED)
            self._believed.move_to_end(digest)
            return known.principal
        self._believed.pop(digest, None)
        principal = await super().verify(token)
        key = await self.keys.get(principal.key_id)
        if key is not None:
            self._believed[digest] = _Believed(principal, key)
            if len(self._believed) > self._size:
                self._believed.popitem(last=False)
        return principal

    async def _holds(self, known: _Believed) -> bool:
        if known.principal.expires_at <= self._clock():
            return False
        try:
            return await self.keys.get(known.principal.key_id) is known.key
        except KeysAwayError:  # the whole check says what that means
            return False

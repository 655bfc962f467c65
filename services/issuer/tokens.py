"""Access tokens (RFC 9068) under a key that lives as long as the process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey


def new_key(bits: int = 2048) -> RSAKey:
    """An RSA key whose `kid` is its thumbprint (RFC 7638); services refuse one of fewer than 2048 bits."""
    return RSAKey.generate_key(bits, {"use": "sig", "alg": "RS256"}, auto_kid=True)


@dataclass(frozen=True)
class TokenSigner:
    """Signs access tokens for one issuer and one audience.

    A restart makes a new key: tokens signed before it are refused from then on, as they should be after a change of
    keys, and services learn the new key by the unknown `kid`.
    """

    issuer: str
    audience: str
    lifetime_seconds: int
    key: RSAKey = field(default_factory=new_key)

    def claims(self, *, subject: str, client_id: str, scope: str, **changes: Any) -> dict[str, Any]:
        """The claims of a token; `changes` are laid over the usual ones, and None leaves one out."""
        now = int(time())
        usual = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "client_id": client_id,
            "scope": scope,
            "iat": now,
            "exp": now + self.lifetime_seconds,
            "jti": str(uuid4()),
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """The claims as a token in compact form; `header` is laid over the usual one in the same way."""
        usual = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid}
        full = {name: value for name, value in {**usual, **(header or {})}.items() if value is not None}
        return jwt.encode(full, dict(claims), self.key)

    def jwks(self) -> dict[str, Any]:
        """The public half as a JSON Web Key Set (RFC 7517, section 5)."""
        return dict(KeySet([self.key]).as_dict(private=False))

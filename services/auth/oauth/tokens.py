"""Access tokens (RFC 9068), ID tokens (OpenID Connect Core 2), and the opaque ones: codes and refresh tokens."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from services.auth.oauth.models import Grant
from services.auth.settings import AuthSettings

OPAQUE_BYTES = 32  # 256 bits
MAX_TOKEN = 8192
ALGORITHM = "RS256"
ID_TOKEN, ACCESS_TOKEN = "JWT", "at+jwt"  # `typ`


class Signer(Protocol):
    """The key ring, as far as it is needed here."""

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A JWT signed with the key that signs now."""

    def key(self, kid: str) -> RSAKey | None:
        """The published key with this id, or None."""


def opaque() -> str:
    """A new code or refresh token: 256 random bits, 43 characters."""
    return secrets.token_urlsafe(OPAQUE_BYTES)


def digest(token: str) -> bytes:
    """What is stored of an opaque token; it has bits enough to need no salt and no work."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def uuid7_at(moment: datetime) -> UUID:
    """A UUIDv7 (RFC 9562 5.7) of a given moment, which its first 48 bits tell in milliseconds."""
    milliseconds = int(moment.timestamp() * 1000)
    noise = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def half_hash(token: str) -> str:
    """`at_hash` (OpenID Connect Core 3.1.3.6): the left half of the SHA-256 that RS256 signs."""
    left = hashlib.sha256(token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(left).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed access token and its id."""

    value: str
    token_id: UUID


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What an access token says of itself that can be revoked."""

    token_id: str
    issued_at: datetime
    expires_at: datetime
    client_id: str
    user_id: UUID | None
    session_id: UUID | None
    grant_id: UUID | None

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> "TokenFacts":
        """Those of a token of ours; a machine's has no user."""
        of_person = claims["sub"] != claims["client_id"]
        milliseconds = UUID(claims["jti"]).int >> 80
        return cls(
            token_id=claims["jti"],
            issued_at=datetime.fromtimestamp(milliseconds / 1000, UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            client_id=claims["client_id"],
            user_id=UUID(claims["sub"]) if of_person else None,
            session_id=UUID(claims["sid"]) if "sid" in claims else None,
            grant_id=UUID(claims["grant_id"]) if "grant_id" in claims else None,
        )


class Tokens:
    """Makes and reads the tokens of one issuer."""

    def __init__(self, settings: AuthSettings, signer: Signer) -> None:
        """Take issuer, audience and lifetimes, the keys, and TOKEN_KEY."""
        self._settings = settings
        self._signer = signer
        key = settings.token_key.get_secret_value().encode()
        self._successor_key = hmac.digest(key, b"slipway refresh token successor", "sha256")

    def access(
        self,
        now: datetime,
        *,
        subject: str,
        client_id: str,
        scopes: Sequence[str],
        roles: Sequence[str] = (),
        session_id: UUID | None = None,
        grant_id: UUID | None = None,
    ) -> AccessToken:
        """An access token. `now`: Postgres' clock, read under the locks of user and client."""
        token_id = uuid7_at(now)
        issued = int(now.timestamp())
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": subject,
            "client_id": client_id,
            "iat": issued,
            "exp": issued + self._settings.access_token_seconds,
            "jti": str(token_id),
            "scope": " ".join(scopes),
            "roles": list(roles),
            "sid": None if session_id is None else str(session_id),
            "grant_id": None if grant_id is None else str(grant_id),
        }
        stated = {name: value for name, value in claims.items() if value is not None}
        return AccessToken(self._signer.sign(stated, ACCESS_TOKEN), token_id)

    def identity(
        self, now: datetime, grant: Grant, session_id: UUID | None, access_token: str, nonce: str | None
    ) -> str:
        """An ID token. Who somebody is beyond `sub` tells userinfo, as there is an access token (5.4)."""
        issued = int(now.timestamp())
        claims = {
            "iss": self._settings.issuer,
            "aud": grant.client_id,
            "sub": str(grant.user_id),
            "iat": issued,
            "exp": issued + self._settings.id_token_seconds,
            "auth_time": int(grant.authenticated_at.timestamp()),
            "amr": grant.methods,
            "at_hash": half_hash(access_token),
            "nonce": nonce,
            "sid": None if session_id is None else str(session_id),
        }
        return self._signer.sign({name: value for name, value in claims.items() if value is not None}, ID_TOKEN)

    def successor(self, refresh_token: str) -> str:
        """The refresh token that follows this one: always the same, and to be known only with TOKEN_KEY."""
        mac = hmac.digest(self._successor_key, refresh_token.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def read_hint(self, id_token: str) -> dict[str, Any] | None:
        """The claims of an ID token of ours, also of an expired one; None for anything else."""
        return self._read(id_token, ID_TOKEN)

    def read_access(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token of ours for the platform, also of an expired one; None for anything else."""
        claims = self._read(token, ACCESS_TOKEN) or {}
        return claims if claims.get("aud") == self._settings.audience else None

    def _read(self, token: str, typ: str) -> dict[str, Any] | None:
        header = _header(token) if len(token) <= MAX_TOKEN else {}
        kid = header.get("kid")
        key = self._signer.key(kid) if isinstance(kid, str) else None
        if header.get("typ") != typ or key is None:
            return None
        try:
            claims = dict(jwt.decode(token, key, algorithms=[ALGORITHM]).claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        return claims if claims.get("iss") == self._settings.issuer else None


def _header(token: str) -> dict[str, Any]:
    part = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) and "." in token else {}

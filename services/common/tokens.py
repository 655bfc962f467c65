"""Access tokens checked: RFC 9068 over RS256, by the rules of RFC 8725."""

import base64
import binascii
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry

from services.common.exceptions import UnauthenticatedError, UnavailableError
from services.common.jwks import KeysAwayError, RemoteKeys, open_keys
from services.common.settings import TokenSettings

MAX_BYTES = 8192
LEEWAY_SECONDS = 30  # clocks of two machines
ALGORITHM = "RS256"
LAST_TIME = 253_402_300_799  # the end of the year 9999; NaN is not below it either
TYPES = frozenset({"at+jwt", "application/at+jwt"})  # RFC 9068 4
# keys that a token brings along, and extensions that we do not know (RFC 8725 3.10, RFC 7515 4.1.11)
FORBIDDEN_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})


@dataclass(frozen=True)
class Principal:
    """Who is asking, as the token says."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    session_id: str | None = None
    token_id: str | None = None
    # of the token, for whoever keeps the verdict: it holds no longer than they do
    expires_at: float = field(default=0, compare=False)
    key_id: str = field(default="", compare=False)


class InvalidTokenError(Exception):
    """The token is not to be believed; the message says why, for the log."""


class TokenVerifier:
    """Turns a bearer token into a Principal or refuses it."""

    def __init__(self, keys: RemoteKeys, *, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        """Take the keys, the one issuer that is believed and the audience that is us."""
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self._clock = clock

    async def verify(self, token: str) -> Principal:
        """Check signature and claims. Raises UnauthenticatedError (401), or UnavailableError (503) without keys."""
        try:
            kid = _key_id(token)
            key = await self.keys.get(kid)
            if key is None:
                raise InvalidTokenError("signed with a key that auth does not publish")  # noqa: TRY301
            claims = _signed_claims(token, key)
            self._check(claims)
            return replace(_principal(claims), expires_at=claims["exp"], key_id=kid)
        except KeysAwayError:
            raise UnavailableError(
                "Tokens cannot be checked: the keys of auth are away", retry_after_seconds=5
            ) from None
        except InvalidTokenError as error:
            raise UnauthenticatedError(
                f"The access token is not valid: {error}", challenge='Bearer error="invalid_token"'
            ) from None

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if claims.get("iss") != self.issuer:
            raise InvalidTokenError("another issuer")
        audience = claims.get("aud")  # one string or a list of them (RFC 7519 4.1.3)
        if audience != self.audience and not (isinstance(audience, list) and self.audience in audience):
            raise InvalidTokenError("meant for another audience")
        if _time(claims, "exp", required=True) <= now - LEEWAY_SECONDS:
            raise InvalidTokenError("expired")
        if _time(claims, "nbf") > now + LEEWAY_SECONDS:
            raise InvalidTokenError("not valid yet")
        if _time(claims, "iat", required=True) > now + LEEWAY_SECONDS:
            raise InvalidTokenError("issued in the future")


@asynccontextmanager
async def open_token_verifier(
    settings: TokenSettings, registry: CollectorRegistry | None = None
) -> AsyncGenerator[TokenVerifier]:
    """A verifier whose keys are kept fresh for as long as the block lasts; their fetches are counted."""
    async with open_keys(settings.jwks_address, registry) as keys:
        yield TokenVerifier(keys, issuer=settings.issuer, audience=settings.audience)


def _key_id(token: str) -> str:
    """Read the header, refusing all that is not exactly what auth signs, before any key is looked at."""
    if len(token) > MAX_BYTES:
        raise InvalidTokenError(f"longer than {MAX_BYTES} characters")
    header = _json(token.partition(".")[0])
    if header.get("alg") != ALGORITHM:
        raise InvalidTokenError(f"not signed with {ALGORITHM}")
    if str(header.get("typ")).lower() not in TYPES:
        raise InvalidTokenError("not an access token (typ)")
    if FORBIDDEN_HEADERS & header.keys():
        raise InvalidTokenError("its header holds fields that are not allowed")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidTokenError("names no key (kid)")
    return kid


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidTokenError("not a JWT") from None
    if not isinstance(value, dict):
        raise InvalidTokenError("not a JWT")
    return value


def _signed_claims(token: str, key: RSAKey) -> dict[str, Any]:
    try:
        return dict(jwt.decode(token, key, algorithms=[ALGORITHM]).claims)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidTokenError("its signature does not match") from None


def _time(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    """A NumericDate (RFC 7519 2); an absent optional one is the beginning of time."""
    value = claims.get(name, None if required else 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_TIME:
        raise InvalidTokenError(f"{name} is not a time")
    return value


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject, client_id, scope, roles = (claims.get(name) for name in ("sub", "client_id", "scope", "roles"))
    session_id, token_id = claims.get("sid"), claims.get("jti")
    if not isinstance(subject, str) or not subject or not isinstance(client_id, str):
        raise InvalidTokenError("names no subject or no client")
    if "\0" in subject or not _is_text(subject):  # no database takes it
        raise InvalidTokenError("names a subject that is no text")
    if not isinstance(scope or "", str) or not isinstance(roles or [], list):
        raise InvalidTokenError("scope or roles are not as they should be")
    if not isinstance(session_id, str | None) or not isinstance(token_id, str | None):
        raise InvalidTokenError("sid or jti are not as they should be")
    return Principal(
        subject=subject,
        client_id=client_id,
        scopes=frozenset((scope or "").split()),
        roles=frozenset(role for role in roles or [] if isinstance(role, str)),
        session_id=session_id,
        token_id=token_id,
    )


def _is_text(value: str) -> bool:
    """JSON can spell half a character (a lone surrogate), which UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Access tokens checked: RFC 9068 over RS256, by the rules of RFC 8725."""

import base64
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry

from services.common.exceptions import UnauthenticatedError, UnavailableError
from services.common.jwks import KeysAwayError, open_keys
from services.common.revocations import MAX_TOKEN_SECONDS, Presented, Revocations
from services.common.settings import TokenSettings

MAX_BYTES = 8192
LEEWAY_SECONDS = 30  # clocks of two machines
ALGORITHM = "RS256"
LAST_TIME = 253_402_300_799  # the end of the year 9999; NaN is not below it either
TYPES = frozenset({"at+jwt", "application/at+jwt"})  # RFC 9068 4
# keys that a token brings along, and extensions that we do not know (RFC 8725 3.10, RFC 7515 4.1.11)
FORBIDDEN_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
REVOKED = "revoked"
PARTS = 3  # of a signed token; an encrypted one has five
_BASE64URL = re.compile("[A-Za-z0-9_-]+")
_UUID7 = re.compile("([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Principal:
    """Who is asking, as the token says."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    session_id: str | None = None
    token_id: str | None = None
    grant_id: str | None = None
    issued_ms: int = 0  # Unix time
    # of the token, for whoever keeps the verdict: it holds no longer than they do
    expires_at: float = field(default=0, compare=False)
    key_id: str = field(default="", compare=False)


class Keys(Protocol):
    """Where the verifier finds keys: those of auth over HTTP, or in auth itself its own."""

    async def get(self, kid: str) -> RSAKey | None:
        """The key with this id, or None. Raises KeysAwayError when there are no keys that may be believed."""

    async def ready(self) -> None:
        """Raise unless there are keys; a readiness check."""


class InvalidTokenError(Exception):
    """The token is not to be believed; the message says why, for the log."""


class TokenVerifier:
    """Turns a bearer token into a Principal or refuses it."""

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the keys, the one issuer that is believed, the audience that is us, and what was revoked."""
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.revocations = revocations
        self._clock = clock

    @property
    def readiness_checks(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """What must have been heard before a token can be judged: the keys and, where they are told, revocations."""
        checks: dict[str, Callable[[], Awaitable[object]]] = {"keys": self.keys.ready}
        if self.revocations is not None:
            checks["revocations"] = self.revocations.ready
        return checks

    async def verify(self, token: str) -> Principal:
        """Check signature and claims. Raises UnauthenticatedError (401), or UnavailableError (503) without keys."""
        try:
            kid, signed = _header(token)
            key = await self.keys.get(kid)
            if key is None:
                raise InvalidTokenError("signed with a key that auth does not publish")  # noqa: TRY301
            claims = _signed_claims(token, signed, key)
            self._check(claims)
            principal = replace(_principal(claims), expires_at=claims["exp"], key_id=kid)
            return self._unless_revoked(principal, claims)
        except KeysAwayError:
            raise UnavailableError(
                "Tokens cannot be checked: the keys of auth are away", retry_after_seconds=5
            ) from None
        except InvalidTokenError as error:
            raise refusal(str(error)) from None

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if claims.get("iss") != self.issuer:
            raise InvalidTokenError("another issuer")
        audience = claims.get("aud")  # one string or a list of them (RFC 7519 4.1.3)
        audiences = audience if isinstance(audience, list) else [audience]
        if self.audience not in audiences or not all(isinstance(one, str) for one in audiences):
            raise InvalidTokenError("meant for another audience")
        if _time(claims, "exp", required=True) <= now - LEEWAY_SECONDS:
            raise InvalidTokenError("expired")
        if _time(claims, "nbf") > now + LEEWAY_SECONDS:
            raise InvalidTokenError("not valid yet")
        if _time(claims, "iat", required=True) > now + LEEWAY_SECONDS:
            raise InvalidTokenError("issued in the future")

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token of a principal, verified once, has been revoked since. A few dictionary lookups."""
        return self.revocations is not None and self.revocations.refuses(
            Presented(
                principal.subject,
                principal.client_id,
                principal.session_id,
                principal.grant_id,
                principal.token_id,
                principal.issued_ms,
            )
        )

    def _unless_revoked(self, principal: Principal, claims: Mapping[str, Any]) -> Principal:
        if self.revocations is not None and claims["exp"] - claims["iat"] > MAX_TOKEN_SECONDS:
            raise InvalidTokenError("good for longer than revocations are remembered")
        if self.is_revoked(principal):
            raise InvalidTokenError(REVOKED)
        return principal


def refusal(reason: str) -> UnauthenticatedError:
    """What a caller hears whose token is not believed (RFC 6750 3.1)."""
    return UnauthenticatedError(f"The access token is not valid: {reason}", challenge='Bearer error="invalid_token"')


@asynccontextmanager
async def open_token_verifier(
    settings: TokenSettings,
    registry: CollectorRegistry | None = None,
    kind: Callable[..., TokenVerifier] = TokenVerifier,
) -> AsyncGenerator[TokenVerifier]:
    """A verifier whose keys are kept fresh for as long as the block lasts; their fetches are counted."""
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(open_keys(settings.jwks_address, registry))
        revocations = None  # an identity provider from elsewhere tells of none
        if settings.state_url is not None:
            from services.common.following import open_revocations  # redis: only services with state have it

            revocations = await stack.enter_async_context(open_revocations(settings.state_url, registry))
        yield kind(keys, issuer=settings.issuer, audience=settings.audience, revocations=revocations)


def _header(token: str) -> tuple[str, str]:
    """The key's id and the encoded claims. Refuses all that auth does not sign, before any key is looked at."""
    if len(token) > MAX_BYTES:
        raise InvalidTokenError(f"longer than {MAX_BYTES} characters")
    parts = token.split(".")
    if len(parts) != PARTS:
        raise InvalidTokenError("not a JWT")
    header = _json(parts[0])
    if header.get("alg") != ALGORITHM:
        raise InvalidTokenError(f"not signed with {ALGORITHM}")
    if str(header.get("typ")).lower() not in TYPES:
        raise InvalidTokenError("not an access token (typ)")
    if FORBIDDEN_HEADERS & header.keys():
        raise InvalidTokenError("its header holds fields that are not allowed")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidTokenError("names no key (kid)")
    return kid, parts[1]


def _decode(part: str) -> bytes:
    """Base64url in its one spelling: decoders skip strange characters and spare bits, and then two texts are one.

    Raises ValueError.
    """
    if not _BASE64URL.fullmatch(part):
        raise ValueError("not base64url")
    value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(value).rstrip(b"=") != part.encode():
        raise ValueError("not the only spelling")
    return value


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part).decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidTokenError("not a JWT") from None
    if not isinstance(value, dict):
        raise InvalidTokenError("not a JWT")
    return value


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Members named twice are refused (RFC 7515 4, RFC 7519 4): another reader might take the other one."""
    found = dict(members)
    if len(found) < len(members):
        raise InvalidTokenError("names a member twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _signed_claims(token: str, claims: str, key: RSAKey) -> dict[str, Any]:
    try:
        _decode(token.rpartition(".")[2])
        jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidTokenError("its signature does not match") from None
    return _json(claims)


def _time(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    """A NumericDate (RFC 7519 2); an absent optional one is the beginning of time."""
    value = claims.get(name, None if required else 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_TIME:
        raise InvalidTokenError(f"{name} is not a time")
    return value


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject, client_id, scope, roles = (claims.get(name) for name in ("sub", "client_id", "scope", "roles"))
    session_id, token_id, grant_id = (claims.get(name) for name in ("sid", "jti", "grant_id"))
    if not isinstance(subject, str) or not subject or not isinstance(client_id, str):
        raise InvalidTokenError("names no subject or no client")
    if "\0" in subject or not _is_text(subject):  # no database takes it
        raise InvalidTokenError("names a subject that is no text")
    if not isinstance(scope or "", str) or not isinstance(roles or [], list):
        raise InvalidTokenError("scope or roles are not as they should be")
    if not all(isinstance(value, str | None) for value in (session_id, token_id, grant_id)):
        raise InvalidTokenError("sid or jti are not as they should be")
    return Principal(
        subject=subject,
        client_id=client_id,
        scopes=frozenset((scope or "").split(" ")) - {""},
        roles=frozenset(role for role in roles or [] if isinstance(role, str)),
        session_id=session_id,
        token_id=token_id,
        grant_id=grant_id,
        issued_ms=_issued_ms(token_id, claims["iat"]),
    )


def _issued_ms(token_id: str | None, issued_at: float) -> int:
    """When it was issued, as its UUIDv7 says (RFC 9562 5.7); without one the beginning of the second of `iat`.

    Too early rather than too late: what was issued in the second of a revocation is then refused.
    """
    found = _UUID7.fullmatch(token_id or "")
    return int(found[1] + found[2], 16) if found else int(issued_at) * 1000


def _is_text(value: str) -> bool:
    """JSON can spell half a character (a lone surrogate), which UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

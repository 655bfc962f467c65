"""Which access tokens are believed: the good ones, and none that was made to look like one."""

import base64
import hmac
import json
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jws

from services.common.exceptions import UnauthenticatedError
from services.common.settings import TokenSettings
from services.common.tokens import InvalidTokenError, TokenVerifier, _principal, open_token_verifier
from tests.support.tokens import Issuer, KeyServer, key_server


@dataclass(frozen=True)
class now:  # noqa: N801, it is called like a function
    """A time of the test's own, not of its collection."""

    seconds: float

    def __call__(self) -> float:
        return time.time() + self.seconds


def made(issuer: Issuer, changes: dict[str, Any]) -> str:
    return issuer.token(**{name: value() if callable(value) else value for name, value in changes.items()})


def settings(url: str, issuer: Issuer) -> TokenSettings:
    return TokenSettings(issuer=issuer.issuer, audience=issuer.audience, jwks_url=url)


@pytest.fixture(scope="module")
async def verifier(issuer: Issuer, jwks: KeyServer) -> AsyncIterator[TokenVerifier]:
    async with open_token_verifier(settings(jwks.url, issuer)) as verifier:
        yield verifier


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await verifier.verify(token)
    assert caught.value.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    return str(caught.value.detail)


async def test_the_verdict_says_until_when_and_by_which_key_it_holds(verifier: TokenVerifier, issuer: Issuer) -> None:
    claims = issuer.claims()

    principal = await verifier.verify(issuer.sign(claims))

    assert (principal.expires_at, principal.key_id) == (claims["exp"], issuer.key.kid)


async def test_a_good_token_names_its_principal(verifier: TokenVerifier, issuer: Issuer) -> None:
    principal = await verifier.verify(issuer.token(roles=["editor"], sid="s1", jti="t1"))

    assert principal.subject == "alice"
    assert principal.client_id == "tests"
    assert principal.scopes == {"items:read", "items:write"}
    assert principal.roles == {"editor"}
    assert (principal.session_id, principal.token_id) == ("s1", "t1")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "slipway"]},
        {"scope": None},
        {"scope": ""},
        {"nbf": now(-10)},
        {"exp": now(-10)},  # the clocks of two machines may differ by this much
        {"iat": now(10)},
        {"header": {"typ": "application/at+jwt"}},
        {"header": {"typ": "AT+JWT"}},
    ],
    ids=str,
)
async def test_unusual_tokens_are_good_too(verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert (await verifier.verify(made(issuer, changes))).subject == "alice"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other", "slipway2"]}, "another audience"),
        ({"aud": "slipwayy"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": {"slipway": 1}}, "another audience"),
        ({"aud": 7}, "another audience"),
        ({"iss": "https://evil.test"}, "another issuer"),
        ({"iss": "https://slipway.test/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"iss": ["https://slipway.test"]}, "another issuer"),
        ({"exp": now(-60)}, "expired"),
        ({"exp": None}, "exp is not a time"),
        ({"exp": "never"}, "exp is not a time"),
        ({"exp": True}, "exp is not a time"),
        ({"exp": float("nan")}, "not a JWT"),
        ({"exp": 10**400}, "exp is not a time"),
        ({"nbf": now(300)}, "not valid yet"),
        ({"nbf": "tomorrow"}, "nbf is not a time"),
        ({"iat": now(300)}, "issued in the future"),
        ({"iat": None}, "iat is not a time"),
        ({"sub": None}, "names no subject"),
        ({"sub": ""}, "names no subject"),
        ({"sub": 7}, "names no subject"),
        ({"sub": "a\0"}, "a subject that is no text"),
        ({"client_id": None}, "names no subject or no client"),
        ({"scope": ["items:read"]}, "scope or roles"),
        ({"scope": 1}, "scope or roles"),
        ({"roles": "admin"}, "scope or roles"),
        ({"sid": 7}, "sid or jti"),
        ({"jti": {}}, "sid or jti"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_wrong_claims_are_refused(
    verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any], why: str
) -> None:
    assert why in await refused(verifier, made(issuer, changes))


def test_half_a_character_is_no_subject(issuer: Issuer) -> None:
    claims = issuer.claims() | json.loads('{"sub": "a\\ud800"}')

    with pytest.raises(InvalidTokenError, match="no text"):
        _principal(claims)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "JWT"}, "not an access token"),  # an ID token, say
        ({"typ": None}, "not an access token"),
        ({"typ": ["at+jwt"]}, "not an access token"),
        ({"alg": "RS512"}, "not signed with RS256"),
        ({"alg": "PS256"}, "not signed with RS256"),
        ({"kid": None}, "names no key"),
        ({"kid": 7}, "names no key"),
        ({"kid": "unknown"}, "does not publish"),
        ({"kid": "../../../../dev/null"}, "does not publish"),
        ({"kid": "x' UNION SELECT 'key"}, "does not publish"),
        ({"kid": "http://evil.test/key"}, "does not publish"),
        ({"jku": "http://evil.test/jwks.json"}, "not allowed"),
        ({"x5u": "http://evil.test/cert.pem"}, "not allowed"),
        ({"x5c": ["MIIB"]}, "not allowed"),
        ({"jwk": {"kty": "RSA", "n": "x", "e": "AQAB"}}, "not allowed"),
        ({"crit": ["exp"]}, "not allowed"),
        ({"b64": False}, "not allowed"),
    ],
    ids=str,
)
async def test_wrong_headers_are_refused(
    verifier: TokenVerifier, issuer: Issuer, header: dict[str, Any], why: str
) -> None:
    _, claims, signature = issuer.token().split(".")
    full = {"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid} | header
    forged = f"{part({k: v for k, v in full.items() if v is not None})}.{claims}.{signature}"

    assert why in await refused(verifier, forged)


async def test_a_token_without_signature_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    for alg in ("none", "None", "NONE", ""):
        header = part({"alg": alg, "typ": "at+jwt", "kid": issuer.key.kid})
        assert "not signed with RS256" in await refused(verifier, f"{header}.{part(issuer.claims())}.")
    header, claims, _ = issuer.token().split(".")
    assert "signature" in await refused(verifier, f"{header}.{claims}.")


async def test_the_public_key_is_no_shared_secret(verifier: TokenVerifier, issuer: Issuer) -> None:
    for alg in ("HS256", "RS256"):
        signed = f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': issuer.key.kid})}.{part(issuer.claims())}"
        for public in (issuer.key.as_pem(private=False), issuer.key.as_der(private=False)):
            signature = hmac.digest(public, signed.encode(), "sha256")
            assert await refused(verifier, f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


async def test_a_key_that_the_token_brings_along_is_not_used(verifier: TokenVerifier, issuer: Issuer) -> None:
    stranger = Issuer()
    stranger_key = stranger.key.as_dict(private=False)

    assert "not allowed" in await refused(verifier, stranger.token(header={"jwk": stranger_key}))
    assert "does not publish" in await refused(verifier, stranger.token())
    assert "signature" in await refused(verifier, stranger.token(header={"kid": issuer.key.kid}))


async def test_changed_claims_break_the_signature(verifier: TokenVerifier, issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")

    assert "signature" in await refused(verifier, f"{header}.{part(issuer.claims(sub='mallory'))}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "ey",
        "é.é.é",
        "\x00",
        "\ud800",
        "[" * 4000,
        "bnVsbA.bnVsbA.bnVsbA",
        "a" * 8000 + "." * 100,
        f"{part([])}.e30.x",
        f"{part('a')}.e30.x",
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
        part({"alg": "RS256", "typ": "at+jwt", "kid": "a" * 5000}),
    ],
    ids=lambda value: ascii(value[:20]),
)
async def test_garbage_is_refused(verifier: TokenVerifier, token: str) -> None:
    assert await refused(verifier, token)


async def test_claims_that_are_no_object_are_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    for payload in (b"[]", b"7", b"null", b"\xff", b"", b"[" * 3000):
        header = {"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid}
        signed = jws.serialize_compact(header, payload, issuer.key)

        assert await refused(verifier, signed)


async def test_a_token_that_is_too_long_is_not_even_read(verifier: TokenVerifier, issuer: Issuer) -> None:
    assert "longer than 8192" in await refused(verifier, issuer.token(padding="x" * 8192))


async def test_a_verifier_of_another_issuer_refuses_ours(issuer: Issuer, jwks: KeyServer) -> None:
    other = TokenSettings(issuer="https://other.test", audience=issuer.audience, jwks_url=jwks.url)
    async with open_token_verifier(other) as verifier:
        assert "another issuer" in await refused(verifier, issuer.token())


async def test_keys_too_short_to_be_safe_are_not_used() -> None:
    with warnings.catch_warnings(action="ignore"):
        weak = Issuer(bits=1024)
    weak.rotate()  # a good key beside it, so that the set is usable
    with key_server(weak) as server:
        async with open_token_verifier(settings(server.url, weak)) as verifier:
            assert (await verifier.verify(weak.token())).subject == "alice"
            weak.keys.reverse()
            with warnings.catch_warnings(action="ignore"):
                assert "does not publish" in await refused(verifier, weak.token())

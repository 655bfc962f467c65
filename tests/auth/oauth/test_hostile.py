"""Tokens and forms that somebody made to break something: each gets its standard answer, and none a 5xx."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from tests.auth.oauth.flows import TOKEN, Flow, error_of

REVOKE, INTROSPECT, LOGOUT = "/oauth2/revoke", "/oauth2/introspect", "/oauth2/logout"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OWN = RSAKey.generate_key(2048, {"kid": "own"})


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed_by_own(flow: Flow, claims: dict[str, Any], **header: Any) -> str:
    named = {"alg": "RS256", "typ": "at+jwt", "kid": flow.server.kid, **header}
    signed = f"{part(named)}.{part(claims)}"
    assert OWN.private_key is not None
    signature = OWN.private_key.sign(signed.encode(), PKCS1v15(), SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def hostile(flow: Flow, claims: dict[str, Any]) -> list[str]:
    """The same claims under every trick that is known (RFC 8725 2)."""
    public = flow.server.ring.jwks()["keys"][0]
    confused = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': public['kid']})}.{part(claims)}"
    mac = hmac.new(RSAKey.import_key(public).as_pem(private=False), confused.encode(), hashlib.sha256).digest()
    whole = flow.server.ring.sign(claims, "at+jwt")
    return [
        f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}.",
        f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': public['kid']})}.{part(claims)}.x",
        f"{confused}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        signed_by_own(flow, claims),
        signed_by_own(flow, claims, jwk=OWN.as_dict(private=False)),
        signed_by_own(flow, claims, jku="https://evil.example/jwks.json"),
        signed_by_own(flow, claims, kid="own"),
        signed_by_own(flow, claims, kid="../../../../dev/null"),
        signed_by_own(flow, claims, kid="' OR 1=1 --"),
        signed_by_own(flow, claims, kid=7),
        signed_by_own(flow, claims, crit=["b64"], b64=False),
        whole.rpartition(".")[0] + ".",
        f"{whole}.{whole}",
        f".{whole.partition('.')[2]}",
        f"{part([])}.{part(claims)}.x",
        f"{base64.urlsafe_b64encode(b'[' * 5000).decode()}.x.x",
        flow.server.ring.sign({**claims, "pad": "x" * 10_000}, "at+jwt"),
    ]


async def test_no_trick_makes_a_token_good(flow: Flow) -> None:
    claims = flow.claims((await flow.tokens())["access_token"])
    authentication = flow.client.authentication()

    for number, token in enumerate(hostile(flow, claims)):
        asked = await flow.http.post(INTROSPECT, data={"token": token, **authentication})
        revoked = await flow.http.post(REVOKE, data={"token": token, **authentication})
        hinted = await flow.http.get(LOGOUT, params={"id_token_hint": token}, headers=flow.cookie)

        assert (await flow.userinfo(token)).status_code == 401, number
        assert (asked.status_code, asked.json()) == (200, {"active": False}), number
        assert (revoked.status_code, hinted.headers["location"]) == (200, "/logout"), number
    good = flow.server.ring.sign(claims, "at+jwt")
    assert (await flow.userinfo(good)).status_code == 200


@pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&",
        b"=",
        b"token",
        b"token=&grant_type=",
        b"token=a&token=b&grant_type=x&grant_type=y",
        b"client_id=a&client_id=b&token=x&grant_type=x",
        b"token=%ff&grant_type=%ff",
        b"token=%00&grant_type=%00",
        b"\xff\xfe",
        b"&".join(b"p%d=x" % number for number in range(60)),
    ],
)
async def test_a_form_that_is_no_request_is_an_invalid_request(flow: Flow, path: str, body: bytes) -> None:
    basic = base64.b64encode(f"{flow.parties.app(method='client_secret_basic').id}:secret-of-a-client".encode())
    headers = {**FORM, "Authorization": f"Basic {basic.decode()}"}
    answer = await flow.http.post(path, content=body, headers=headers)

    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.parametrize("path", [TOKEN, REVOKE, INTROSPECT])
async def test_a_body_without_end_is_not_read(flow: Flow, path: str) -> None:
    answer = await flow.http.post(path, content=b"token=" + b"x" * 3_000_000, headers=FORM)

    assert answer.status_code == 413

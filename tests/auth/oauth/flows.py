"""A browser and a client, step by step."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx2
from joserfc import jwt

from tests.auth.oauth.app import OAuthApp
from tests.auth.oauth.parties import REDIRECT_URI, App, Parties

AUTHORIZE, TOKEN, USERINFO = "/oauth2/authorize", "/oauth2/token", "/oauth2/userinfo"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
Cookie = dict[str, str]


def request_of(app: App, **changes: str | None) -> dict[str, str]:
    """A good authorization request, with some of it changed or (None) left out."""
    usual: dict[str, str | None] = {
        "response_type": "code",
        "client_id": app.id,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid items:read",
        "state": "the state",
        "nonce": "the nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


def target(answer: httpx2.Response) -> str:
    """Where a redirect goes to, without its query."""
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


def said(answer: httpx2.Response) -> dict[str, str]:
    """The parameters of a redirect."""
    assert answer.status_code == 303, answer.text
    pairs = parse_qsl(urlsplit(answer.headers["location"]).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    """The status and code of an error at an endpoint that clients ask."""
    return answer.status_code, answer.json()["error"]


@dataclass(frozen=True)
class Flow:
    """A person in a browser where they are signed in, a client, and the provider between them."""

    http: httpx2.AsyncClient
    server: OAuthApp
    parties: Parties
    client: App
    person: UUID
    cookie: Cookie

    def of(self, client: App) -> "Flow":
        """The same with another client."""
        return replace(self, client=client)

    async def authorize(self, **changes: str | None) -> httpx2.Response:
        """The browser follows the client's link."""
        return await self.http.get(AUTHORIZE, params=request_of(self.client, **changes), headers=self.cookie)

    async def code(self, **changes: str | None) -> str:
        """A code."""
        return said(await self.authorize(**changes))["code"]

    async def redeem(self, code: str, **changes: str | None) -> httpx2.Response:
        """The client redeems it."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            **self.client.authentication(),
        }
        given = {name: value for name, value in (form | changes).items() if value is not None}
        return await self.http.post(TOKEN, data=given)

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        """The tokens of a whole flow."""
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, token: str, **more: str) -> httpx2.Response:
        """The client asks for the next tokens."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **self.client.authentication(), **more}
        return await self.http.post(TOKEN, data=form)

    async def userinfo(self, access_token: str) -> httpx2.Response:
        """Whose token it is, while it is live."""
        return await self.http.get(USERINFO, headers=[(b"Authorization", f"Bearer {access_token}".encode("latin-1"))])

    def claims(self, token: str) -> dict[str, Any]:
        """What a token of the provider's says."""
        return dict(jwt.decode(token, self.server.keys, algorithms=["RS256"]).claims)

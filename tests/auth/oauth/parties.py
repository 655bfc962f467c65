"""Clients and people, straight in the tables."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg  # type: ignore[import-untyped]

from tests.support.databases import execute

REDIRECT_URI = "https://app.example/callback"
SECRET = "secret-of-a-client"
SCOPES = ("openid", "profile", "email", "offline_access", "items:read", "items:write")
GRANTS = ("authorization_code", "refresh_token")


@dataclass(frozen=True)
class App:
    """A registered client."""

    id: str
    method: str = "client_secret_basic"

    def authentication(self) -> dict[str, str]:
        """What it adds to a form to say who it is."""
        return {"client_id": self.id} | ({} if self.method == "none" else {"client_secret": SECRET})


class Parties:
    """Makes them, and changes them behind the application's back."""

    def __init__(self, url: str) -> None:
        self.url = url

    def sql(self, statement: str) -> list[asyncpg.Record]:
        """Run one statement."""
        return execute(self.url, statement)[0]

    def app(
        self,
        *,
        method: str = "client_secret_post",
        grants: Sequence[str] = GRANTS,
        scopes: Sequence[str] = SCOPES,
        redirect_uris: Sequence[str] = (REDIRECT_URI,),
        post_logout_redirect_uris: Sequence[str] = (),
        first_party: bool = True,
    ) -> App:
        """Register a client whose secret, if it has one, is SECRET."""
        name = f"app-{uuid.uuid4().hex[:12]}"
        secret = "NULL" if method == "none" else f"'\\x{hashlib.sha256(SECRET.encode()).hexdigest()}'"
        lists = ", ".join(map(_array, (grants, scopes, redirect_uris, post_logout_redirect_uris)))
        self.sql(
            "INSERT INTO clients (id, name, authentication_method, secret_hash, grant_types, scopes, redirect_uris, "
            f"post_logout_redirect_uris, first_party) VALUES ('{name}', 'An app', '{method}', {secret}, {lists}, "
            f"{first_party})"
        )
        return App(name, method)

    def person(self, *roles: str) -> uuid.UUID:
        """Somebody with these roles."""
        user_id = uuid.uuid4()
        self.sql(
            "INSERT INTO users (id, email, name, password_hash) "
            f"VALUES ('{user_id}', '{user_id}@slipway.test', 'Ada', 'none')"
        )
        for role in roles:
            self.sql(f"INSERT INTO user_roles (user_id, role) VALUES ('{user_id}', '{role}')")
        return user_id

    def disable(self, app: App) -> None:
        """As an administrator does."""
        self.sql(f"UPDATE clients SET disabled_at = now() WHERE id = '{app.id}'")

    def events(self, event: str, of: App) -> list[asyncpg.Record]:
        """What the audit log says of a client."""
        return self.sql(f"SELECT * FROM audit_entries WHERE event = '{event}' AND client_id = '{of.id}' ORDER BY id")


def _array(words: Sequence[str]) -> str:
    return "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]::text[]"

"""Administrators and people over HTTP, with tokens that the application signs itself."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from services.auth.oauth.tokens import Tokens
from tests.auth.users.accounts import Accounts, email

ALL = ("items:read", "items:write", "items:admin", "users:read", "users:admin", "platform:operate")


@dataclass
class Caller:
    """Somebody with a token."""

    http: httpx2.AsyncClient
    headers: dict[str, str]

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        if body is not None:
            options["json"] = body
        return await self.http.request(method, path, headers=self.headers, **options)


@dataclass
class Office:
    """The application over the module's database."""

    accounts: Accounts
    http: httpx2.AsyncClient
    tokens: Tokens

    def caller(
        self, *scopes: str, subject: object = "console", session_id: uuid.UUID | None = None, client_id: str = "console"
    ) -> Caller:
        """Somebody whose token has these scopes."""
        token = self.tokens.access(
            datetime.now(UTC), subject=str(subject), client_id=client_id, scopes=scopes, session_id=session_id
        )
        return Caller(self.http, {"Authorization": f"Bearer {token.value}"})

    @property
    def admin(self) -> Caller:
        """A client with everything."""
        return self.caller(*ALL)

    def role(self, *scopes: str) -> str:
        """A role with these."""
        name = f"role-{uuid.uuid4().hex[:8]}"
        listed = ", ".join(f"'{scope}'" for scope in scopes)
        self.accounts.sql(f"INSERT INTO roles (name, scopes) VALUES ('{name}', ARRAY[{listed}]::text[])")  # noqa: S608
        return name

    def roles(self, user_id: uuid.UUID) -> list[str]:
        rows = self.accounts.sql(f"SELECT role FROM user_roles WHERE user_id = '{user_id}' ORDER BY role")  # noqa: S608
        return [row["role"] for row in rows]

    def only_administrators(self, *user_ids: uuid.UUID) -> None:
        """Nobody else administers from now on."""
        kept = ", ".join(f"'{user_id}'" for user_id in user_ids)
        self.accounts.sql(
            "DELETE FROM user_roles USING roles WHERE name = role AND scopes @> ARRAY['users:admin'] "  # noqa: S608
            f"AND user_id NOT IN ({kept})"
        )


def names(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["email"] for row in rows]


__all__ = ["ALL", "Caller", "Office", "email", "names"]

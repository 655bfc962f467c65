"""An empty database for every test, rows of every kind in it, and what removes them."""
# ruff: noqa: S608 - statements are put together from words of our own

import uuid
from collections.abc import AsyncGenerator

import pytest
from prometheus_client import CollectorRegistry

from services.auth.audit.chain import Chain, Head
from services.auth.audit.repository import AuditRepository
from services.auth.audit.service import AuditService, Verdict
from services.auth.retention import service
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker, open_postgres, open_session, session_maker
from tests.auth.conftest import MakeSettings
from tests.support.databases import execute

ADA = uuid.uuid4()
TABLES = ("authorization_codes", "mailed_codes", "refresh_tokens", "grants", "sessions", "revocations")
EMPTY = ("users", "clients", "mailed_codes", "revocations", "maintenance", "audit_entries", "audit_checkpoints")
LONG_AGO, LATELY, NOT_YET = (f"now() + interval '{days} days'" for days in (-31, -29, 1))


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> CommandSettings:
    served = make_settings(database_statement_timeout_seconds=2)
    return CommandSettings(**{name: value for name, value in served if name in CommandSettings.model_fields})


@pytest.fixture(scope="module")
async def sessions(settings: CommandSettings) -> AsyncGenerator[SessionMaker]:
    async with open_postgres(settings, CollectorRegistry()) as engine:
        yield session_maker(engine)


class Rows:
    """One database; rows are known by a word, of which their keys are made."""

    def __init__(self, url: str) -> None:
        self.url = url

    def session(self, name: str, *, expires: str = NOT_YET, ended: str = "NULL") -> uuid.UUID:
        return self._add("sessions", name, user_id=f"'{ADA}'", methods="'{pwd}'", expires_at=expires, ended_at=ended)

    def grant(
        self, name: str, *, expires: str = NOT_YET, revoked: str = "NULL", session: uuid.UUID | None = None
    ) -> uuid.UUID:
        whose = {"client_id": "'app'", "user_id": f"'{ADA}'", "session_id": f"'{session}'" if session else "NULL"}
        how = {"scopes": "'{openid}'", "methods": "'{pwd}'", "authenticated_at": "now()"}
        return self._add("grants", name, **whose, **how, expires_at=expires, revoked_at=revoked)

    def token(self, name: str, grant: uuid.UUID, *, expires: str = NOT_YET, used: str = "NULL") -> None:
        self._add("refresh_tokens", name, grant_id=f"'{grant}'", expires_at=expires, used_at=used)

    def code(self, name: str, session: uuid.UUID, expires: str) -> None:
        whose = {"grant_id": f"'{uuid.uuid4()}'", "client_id": "'app'", "user_id": f"'{ADA}'"}
        what = {"session_id": f"'{session}'", "redirect_uri": "''", "scopes": "'{}'", "code_challenge": "''"}
        when = {"authenticated_at": "now()", "methods": "'{}'", "expires_at": expires}
        self._add("authorization_codes", name, **whose, **what, **when)

    def mailed(self, name: str, expires: str) -> None:
        self._add("mailed_codes", name, purpose="'reset'", email=f"'{name}'", expires_at=expires)

    def revocation(self, name: str, at: str) -> None:
        execute(self.url, f"INSERT INTO revocations (kind, target, at) VALUES ('token', '{name}', {at})")

    def audit(self, count: int, days: int) -> None:
        """Entries that are so many days old."""
        values = f"now() - interval '{days} days', 'sign_in_failed', 'd{days}' FROM generate_series(1, {count})"
        execute(self.url, f"INSERT INTO audit_entries (at, event, subject) SELECT {values}")

    def _add(self, table: str, name: str, **columns: str) -> uuid.UUID:
        own = uuid.uuid5(uuid.NAMESPACE_OID, name)
        keys = {"authorization_codes": "code_hash", "refresh_tokens": "token_hash"}
        columns = {keys.get(table, "id"): f"'{own}'" if table not in keys else f"'\\x{name.encode().hex()}'", **columns}
        if table == "sessions":
            columns["token_hash"] = f"'\\x{name.encode().hex()}'"
        names, values = ", ".join(columns), ", ".join(columns.values())
        execute(self.url, f"INSERT INTO {table} ({names}) VALUES ({values})")
        return own

    def left(self, table: str) -> set[str]:
        """The words of the rows that are there."""
        column = {
            "authorization_codes": "code_hash",
            "refresh_tokens": "token_hash",
            "sessions": "token_hash",
            "mailed_codes": "email",
            "revocations": "target",
        }.get(table, "id")
        values = [row[column] for row in execute(self.url, f"SELECT {column} FROM {table}")[0]]
        return {value.decode() if isinstance(value, bytes) else str(value) for value in values}

    def count(self, table: str) -> int:
        found: int = execute(self.url, f"SELECT count(*) FROM {table}")[0][0][0]
        return found


@pytest.fixture
def rows(migrated_url: str) -> Rows:
    """An empty database with one user and one client."""
    client = "('app', 'An app', 'none', '{authorization_code}', '{openid}')"
    execute(
        migrated_url,
        "SET session_replication_role = replica",
        *(f"DELETE FROM {table}" for table in (*TABLES, *EMPTY)),
        f"INSERT INTO users (id, email, name, password_hash) VALUES ('{ADA}', 'ada@slipway.test', 'Ada', 'none')",
        f"INSERT INTO clients (id, name, authentication_method, grant_types, scopes) VALUES {client}",
    )
    return Rows(migrated_url)


async def clean(settings: CommandSettings, sessions: SessionMaker) -> dict[str, int]:
    done, broken = await service.clean(settings, sessions)
    assert broken is None
    return done


async def verify(settings: CommandSettings, sessions: SessionMaker, head: Head | None = None) -> Verdict:
    async with open_session(sessions) as session:
        return await AuditService(AuditRepository(session), Chain(settings)).verify(head)

"""Accounts as pages reach them, with what a test looks at: mails, hashes, statements, the audit log."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pyotp
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy import event

from services.auth.audit.record import Origin
from services.auth.sealing import Sealer
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.auth.users.limits import SignInLimits
from services.auth.users.mail import Mail, Outbox
from services.auth.users.passwords import PasswordHasher
from services.auth.users.service import AccountService
from services.common.postgres import SessionMaker, open_session
from tests.support.databases import execute
from tests.support.waits import until

ORIGIN = Origin(address="192.0.2.1", user_agent="tests", request_id="0123456789abcdef")
PASSWORD = "correct horse battery staple"
ANOTHER = "seven tangerine lighthouses"
STEP_AT = 1_800_000_000  # now, to authenticator apps and whoever checks their codes
ONE_TIME = "7Q2MX-9KD4T-1A2B3"


class Mailbox:
    """Keeps what is sent."""

    can_send = True

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.mails.append(Mail(to, subject, text))

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.to == address]

    async def mail(self, address: str, number: int = 1) -> Mail:
        """The so manieth mail to an address, once it is there."""
        await until(lambda: len(self.to(address)) >= number, f"mail {number} to the address")
        return self.to(address)[number - 1]

    async def code(self, address: str, number: int = 1) -> str:
        """The code in it."""
        return (await self.mail(address, number)).text.split("code is ")[1].split()[0]


@dataclass
class Accounts:
    """The parts of accounts over the module's database."""

    url: str
    settings: AuthSettings
    sessions: SessionMaker
    redis: Redis
    passwords: PasswordHasher
    registry: CollectorRegistry
    limits: SignInLimits
    outbox: Outbox
    mailbox: Mailbox
    woken: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, **parts: Any) -> AsyncGenerator[AccountService]:
        """The service in a session of its own, with some of its parts another."""
        usual: dict[str, Any] = {
            "settings": self.settings,
            "passwords": self.passwords,
            "limits": self.limits,
            "outbox": self.outbox,
            "sealer": Sealer(self.settings),
            "wake": lambda: self.woken.append(1),
        }
        async with open_session(self.sessions) as session:
            yield AccountService(session, **(usual | parts))

    async def do(self, method: str, *args: Any, **options: Any) -> Any:
        """Call one method with ORIGIN at its place."""
        async with self.open() as service:
            return await getattr(service, method)(*args, **options)

    def sql(self, statement: str) -> list[asyncpg.Record]:
        return execute(self.url, statement)[0]

    async def person(self, password: str = PASSWORD, *roles: str, one_time: bool = False) -> uuid.UUID:
        """Somebody with this password."""
        user_id, password_hash = uuid.uuid4(), await self.passwords.hash(password)
        expires = "now() + interval '1 hour'" if one_time else "NULL"
        self.sql(
            "INSERT INTO users (id, email, name, password_hash, password_expires_at) "
            f"VALUES ('{user_id}', '{email(user_id)}', 'Ada', '{password_hash}', {expires})"
        )
        for role in roles:
            self.sql(f"INSERT INTO user_roles (user_id, role) VALUES ('{user_id}', '{role}')")
        return user_id

    def change(self, user_id: uuid.UUID, change: str) -> None:
        """Behind the application's back."""
        self.sql(f"UPDATE users SET {change} WHERE id = '{user_id}'")

    def row(self, user_id: uuid.UUID) -> asyncpg.Record:
        return self.sql(f"SELECT * FROM users WHERE id = '{user_id}'")[0]

    def events(self, user_id: uuid.UUID) -> list[str]:
        """What the audit log says of somebody, the oldest first."""
        return [row["event"] for row in self.entries(f"subject = '{user_id}'")]

    def entries(self, where: str) -> list[asyncpg.Record]:
        return self.sql(f"SELECT * FROM audit_entries WHERE {where} ORDER BY id")

    def revoked(self, kind: str, target: object) -> int:
        """How often something was revoked."""
        return len(self.sql(f"SELECT 1 FROM revocations WHERE kind = '{kind}' AND target = '{target}'"))

    async def start(self, user_id: uuid.UUID) -> tuple[uuid.UUID, str]:
        """A session with a grant from it and one that outlasts it; the session's id and the cookie's value."""
        async with open_session(self.sessions) as session:
            started, value = await SessionService(session, self.settings).start(user_id, ["pwd"], ORIGIN)
            await session.commit()
        self.sql(
            "INSERT INTO clients (id, name, authentication_method, grant_types, scopes) "
            "VALUES ('app', 'App', 'none', '{}', '{}') ON CONFLICT DO NOTHING"
        )
        for scopes in ("{openid}", "{openid,offline_access}"):
            self.sql(
                "INSERT INTO grants (id, client_id, user_id, session_id, scopes, methods, authenticated_at, expires_at)"
                f" VALUES ('{uuid.uuid4()}', 'app', '{user_id}', '{started.id}', '{scopes}', '{{pwd}}', now(), "
                "now() + interval '1 day')"
            )
        return started.id, value

    def live(self, user_id: uuid.UUID) -> tuple[list[uuid.UUID], int]:
        """The sessions that have not ended, and how many grants were not revoked."""
        sessions = self.sql(f"SELECT id FROM sessions WHERE user_id = '{user_id}' AND ended_at IS NULL")
        grants = self.sql(f"SELECT 1 FROM grants WHERE user_id = '{user_id}' AND revoked_at IS NULL")
        return [row["id"] for row in sessions], len(grants)

    async def second_factor(self, user_id: uuid.UUID) -> tuple[pyotp.TOTP, list[str]]:
        """Turn it on; the app, whose code of the step before this one is unused, and the recovery codes."""
        totp = pyotp.TOTP((await self.do("begin_totp", user_id)).secret)
        codes = await self.do("confirm_totp", user_id, earlier(totp), ORIGIN)
        return totp, codes

    def hashes(self) -> float:
        """How often the threads of passwords worked so far."""
        return self.registry.get_sample_value("password_hash_duration_seconds_count") or 0

    @asynccontextmanager
    async def statements(self) -> AsyncGenerator[list[str]]:
        """What is asked of Postgres meanwhile."""
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        engine = self.sessions.kw["bind"].sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", note)


class Watched:
    """Hashes as Argon2 does, and notes something each time."""

    def __init__(self, real: Any, note: Callable[[], object]) -> None:
        self._real = real
        self._note = note
        self.noted: list[object] = []

    def hash(self, password: bytes) -> str:
        self.noted.append(self._note())
        hashed: str = self._real.hash(password)
        return hashed

    def verify(self, password_hash: str, password: bytes) -> bool:
        self.noted.append(self._note())
        verified: bool = self._real.verify(password_hash, password)
        return verified

    def check_needs_rehash(self, password_hash: str) -> bool:
        needed: bool = self._real.check_needs_rehash(password_hash)
        return needed


def email(user_id: uuid.UUID) -> str:
    return f"{user_id}@slipway.test"


def earlier(totp: pyotp.TOTP) -> str:
    """The code of the step before now, which is good still."""
    return totp.at(STEP_AT - 30)


def current(totp: pyotp.TOTP) -> str:
    """The code of now."""
    return totp.at(STEP_AT)

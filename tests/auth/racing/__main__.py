"""`python -m tests.auth.racing serve`: auth that waits a moment behind each lock of what is good once.

So the races of the tests are ones, however fast the machine is. With WITHOUT_LOCKS the same is read, waited and written
without a lock, and waited longer, as nothing but that wait brings two of them together: the tests have to see that.
"""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select, update

from services.auth.__main__ import add_commands
from services.auth.main import MIGRATIONS, create_app
from services.auth.oauth.models import AuthorizationCode, Grant
from services.auth.oauth.repository import OAuthRepository
from services.auth.settings import AuthSettings
from services.auth.users.factor_repository import CodeRepository, FactorRepository
from services.auth.users.models import MailedCode, RecoveryCode, TotpFactor
from services.common.process import run

WITHOUT_LOCKS = "WITHOUT_LOCKS" in os.environ
PAUSE: Any = select(func.pg_sleep(0.2 if WITHOUT_LOCKS else 0.02))


def wait_behind_locks() -> None:
    """Pause while the lock is held."""

    def paused(repository: type, name: str) -> None:
        locked = getattr(repository, name)

        def lock(self: Any, *args: Any) -> Any:
            row = locked(self, *args)
            self.session.exec(PAUSE)
            return row

        async def take(self: Any, *args: Any, **options: Any) -> Any:
            taken = await locked(self, *args, **options)
            await self._session.exec(PAUSE)
            return taken

        setattr(repository, name, lock if repository is OAuthRepository else take)

    for repository, name in (
        (OAuthRepository, "lock_code"),
        (OAuthRepository, "lock_grant"),
        (FactorRepository, "take_step"),
        (FactorRepository, "take_recovery_code"),
        (CodeRepository, "attempt"),
    ):
        paused(repository, name)


def take_locks_away() -> None:
    """Read, pause, then write what follows from what was read."""

    def code(self: OAuthRepository, code_hash: bytes) -> Any:
        row = self._fresh(
            AuthorizationCode, select(AuthorizationCode).where(col(AuthorizationCode.code_hash) == code_hash)
        )
        self.session.exec(PAUSE)
        return row

    def grant(self: OAuthRepository, grant_id: UUID) -> Any:
        row = self._fresh(Grant, select(Grant).where(col(Grant.id) == grant_id))
        self.session.exec(PAUSE)
        return row

    async def take_step(self: Any, user_id: UUID, _: bytes, step: int, *, confirm: bool) -> bool:
        mine = col(TotpFactor.user_id) == user_id
        last = (await self._session.exec(select(TotpFactor.last_step).where(mine))).one()
        await self._session.exec(PAUSE)
        values = {"last_step": step} | ({"confirmed_at": func.now()} if confirm else {})
        await self._session.exec(update(TotpFactor).where(mine).values(**values))
        return last is None or last < step

    async def take_recovery_code(self: Any, user_id: UUID, code_hash: bytes) -> bool:
        which = (col(RecoveryCode.user_id) == user_id, col(RecoveryCode.code_hash) == code_hash)
        used = (await self._session.exec(select(RecoveryCode.used_at).where(*which))).one_or_none()
        await self._session.exec(PAUSE)
        await self._session.exec(update(RecoveryCode).where(*which).values(used_at=func.clock_timestamp()))
        return used is None

    async def attempt(self: Any, code_id: UUID, _: str, most: int) -> MailedCode | None:
        row: MailedCode = (await self._session.exec(select(MailedCode).where(col(MailedCode.id) == code_id))).one()
        await self._session.exec(PAUSE)
        if row.used_at is not None or row.expires_at <= datetime.now(UTC) or row.attempts >= most:
            return None
        await self._session.exec(
            update(MailedCode).where(col(MailedCode.id) == code_id).values(attempts=row.attempts + 1)
        )
        return row

    changes: dict[tuple[type, str], Any] = {
        (OAuthRepository, "lock_code"): code,
        (OAuthRepository, "lock_grant"): grant,
        (FactorRepository, "take_step"): take_step,
        (FactorRepository, "take_recovery_code"): take_recovery_code,
        (CodeRepository, "attempt"): attempt,
    }
    for (repository, name), unlocked in changes.items():
        setattr(repository, name, unlocked)


if __name__ == "__main__":
    if WITHOUT_LOCKS:
        take_locks_away()
    else:
        wait_behind_locks()
    run("auth", create_app=create_app, settings=AuthSettings, migrations=MIGRATIONS, add_commands=add_commands)

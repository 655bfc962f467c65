"""Every SQL statement about second factors and mailed codes. Nothing here commits.

What is good once is taken by one UPDATE whose condition holds once: Postgres has the second of two wait for the first
and then look at the row again.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.users.models import MailedCode, RecoveryCode, TotpFactor


class FactorRepository:
    """Authenticator apps and recovery codes."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def totp(self, user_id: UUID) -> TotpFactor | None:
        """The user's authenticator, confirmed or not."""
        statement = select(TotpFactor).where(col(TotpFactor.user_id) == user_id)
        return (await self._session.exec(statement, execution_options={"populate_existing": True})).one_or_none()

    async def put_unconfirmed(self, user_id: UUID, secret_sealed: bytes, sealed_with: str) -> bool:
        """Keep an authenticator that is not confirmed yet, in place of another such; false when one is on."""
        values = {"secret_sealed": secret_sealed, "sealed_with": sealed_with}
        statement = (
            insert(TotpFactor)
            .values(user_id=user_id, **values)
            .on_conflict_do_update(
                index_elements=[col(TotpFactor.user_id)],
                set_={**values, "last_step": None, "created_at": func.now()},
                where=col(TotpFactor.confirmed_at).is_(None),
            )
        )
        return bool((await self._session.exec(statement)).rowcount)

    async def take_step(self, user_id: UUID, secret_sealed: bytes, step: int, *, confirm: bool) -> bool:
        """Use one time step, if it is later than the last one used and the secret is still this one."""
        confirmed = col(TotpFactor.confirmed_at)
        values = {"last_step": step} | ({"confirmed_at": func.now()} if confirm else {})
        statement = (
            update(TotpFactor)
            .where(
                col(TotpFactor.user_id) == user_id,
                col(TotpFactor.secret_sealed) == secret_sealed,
                or_(col(TotpFactor.last_step).is_(None), col(TotpFactor.last_step) < step),
                confirmed.is_(None) if confirm else confirmed.is_not(None),
            )
            .values(**values)
        )
        return bool((await self._session.exec(statement)).rowcount)

    async def remove_totp(self, user_id: UUID) -> bool:
        """Forget the authenticator and the recovery codes; whether there was one."""
        removed = await self._session.exec(delete(TotpFactor).where(col(TotpFactor.user_id) == user_id))
        # after it, so that codes of a renewal under way are there to be seen
        await self._session.exec(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id))
        return bool(removed.rowcount)

    async def replace_recovery_codes(self, user_id: UUID, hashes: Sequence[bytes]) -> None:
        """Have these and no others; of two at once the later one waits for the row of the authenticator."""
        await self._session.exec(select(TotpFactor).where(col(TotpFactor.user_id) == user_id).with_for_update())
        await self._session.exec(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user_id))
        self._session.add_all([RecoveryCode(user_id=user_id, code_hash=code_hash) for code_hash in hashes])
        await self._session.flush()

    async def take_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        """Use one, if it is there and was not used."""
        statement = (
            update(RecoveryCode)
            .where(
                col(RecoveryCode.user_id) == user_id,
                col(RecoveryCode.code_hash) == code_hash,
                col(RecoveryCode.used_at).is_(None),
            )
            .values(used_at=func.clock_timestamp())
        )
        return bool((await self._session.exec(statement)).rowcount)

    async def count_recovery_codes(self, user_id: UUID) -> int:
        """How many are left."""
        statement = select(func.count()).where(
            col(RecoveryCode.user_id) == user_id, col(RecoveryCode.used_at).is_(None)
        )
        return (await self._session.exec(statement)).one()


class CodeRepository:
    """Codes on their way to a mailbox."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def now(self) -> datetime:
        """The database's clock, which all replicas share."""
        moment: datetime = (await self._session.exec(select(func.clock_timestamp()))).one()
        return moment

    async def add(self, code: MailedCode) -> None:
        """Keep a code."""
        self._session.add(code)
        await self._session.flush()

    async def email(self, code_id: UUID, purpose: str) -> str | None:
        """The address of a code, alive or not."""
        statement = select(MailedCode.email).where(col(MailedCode.id) == code_id, col(MailedCode.purpose) == purpose)
        return (await self._session.exec(statement)).one_or_none()

    async def end(self, email: str, purpose: str) -> None:
        """End all codes of an address."""
        which = (col(MailedCode.email) == email, col(MailedCode.purpose) == purpose, col(MailedCode.used_at).is_(None))
        await self._session.exec(update(MailedCode).where(*which).values(used_at=func.clock_timestamp()))

    async def attempt(self, code_id: UUID, purpose: str, most: int) -> MailedCode | None:
        """Count one attempt at a code that still lives; None for one that does not. The row stays locked."""
        statement = (
            update(MailedCode)
            .where(
                col(MailedCode.id) == code_id,
                col(MailedCode.purpose) == purpose,
                col(MailedCode.used_at).is_(None),
                col(MailedCode.expires_at) > func.clock_timestamp(),
                col(MailedCode.attempts) < most,
            )
            .values(attempts=col(MailedCode.attempts) + 1)
            .returning(MailedCode)
            .execution_options(populate_existing=True)
        )
        return (await self._session.exec(statement)).scalar_one_or_none()

    async def use(self, code_id: UUID) -> None:
        """End a code whose row is locked by `attempt`."""
        await self._session.exec(
            update(MailedCode).where(col(MailedCode.id) == code_id).values(used_at=func.clock_timestamp())
        )

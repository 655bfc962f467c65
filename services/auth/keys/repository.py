"""Every SQL statement about signing keys, and the one about the other secrets under the key-encryption key."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, Text, Uuid, column, func, table
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.keys.models import SigningKey

LOCK = 5_021_884_301  # any number, the same for ever: whoever changes keys waits for whoever does

# of authenticator apps, which belong to users: named here by their columns alone
FACTORS = table(
    "totp_factors", column("user_id", Uuid), column("secret_sealed", LargeBinary), column("sealed_with", Text)
)
Factor = tuple[UUID, bytes, str]


class KeyRepository:
    """Signing keys in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def lock(self) -> datetime:
        """Wait until nobody else changes keys, until the end of the transaction; the time then, by Postgres' clock."""
        await self.session.exec(select(func.pg_advisory_xact_lock(LOCK)))
        return await self.now()

    async def now(self) -> datetime:
        """The time, by Postgres' clock: the one that all processes agree on."""
        now: datetime = (await self.session.exec(select(func.clock_timestamp()))).one()
        return now

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self.session.commit()

    async def all(self) -> list[SigningKey]:
        """All keys, the oldest first, as they are now: not as this session may have read them before."""
        statement = select(SigningKey).order_by(col(SigningKey.published_at), col(SigningKey.kid))
        return list((await self.session.exec(statement, execution_options={"populate_existing": True})).all())

    async def add(self, key: SigningKey) -> None:
        """Insert."""
        self.session.add(key)
        await self.session.flush()

    async def save(self, key: SigningKey) -> None:
        """Write the changes of this key before those of another: at no moment two sign."""
        self.session.add(key)
        await self.session.flush()

    async def remove(self, key: SigningKey) -> None:
        """Delete."""
        await self.session.delete(key)
        await self.session.flush()

    async def factors_not_sealed_with(self, name: str, limit: int) -> Sequence[Factor]:
        """Authenticator secrets under another key than this, locked."""
        c = FACTORS.c
        statement = (
            select(c.user_id, c.secret_sealed, c.sealed_with)
            .where(c.sealed_with != name)
            .order_by(c.user_id)
            .limit(limit)
            .with_for_update()
        )
        return [tuple(row) for row in (await self.session.exec(statement)).all()]

    async def save_factor(self, user_id: UUID, sealed: bytes, name: str) -> None:
        """Replace how one authenticator's secret is sealed."""
        statement = FACTORS.update().where(FACTORS.c.user_id == user_id)
        await self.session.exec(statement.values(secret_sealed=sealed, sealed_with=name))

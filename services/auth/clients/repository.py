"""Every SQL statement about clients."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.clients.exceptions import ClientExistsError, ClientNotFoundError
from services.auth.clients.models import Client


class ClientRepository:
    """Clients in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def commit(self) -> None:
        """End the transaction and make its changes last."""
        await self.session.commit()

    async def now(self) -> datetime:
        """The time, by Postgres' clock."""
        now: datetime = (await self.session.exec(select(func.clock_timestamp()))).one()
        return now

    async def add(self, client: Client) -> Client:
        """Insert; raises ClientExistsError."""
        values = client.model_dump(exclude={"created_at", "disabled_at"})
        statement = insert(Client).values(values).on_conflict_do_nothing().returning(Client)
        added: Client | None = (await self.session.exec(statement)).scalars().one_or_none()
        if added is None:
            raise ClientExistsError(client.id)
        return added

    async def get(self, client_id: str) -> Client:
        """Read one, disabled or not; raises ClientNotFoundError."""
        return await self._one(select(Client).where(Client.id == client_id))

    async def lock(self, client_id: str) -> Client:
        """Likewise, as it is once all tokens that are being made for it are made; no more are until the end."""
        return await self._one(select(Client).where(Client.id == client_id).with_for_update())

    async def save(self, client: Client) -> None:
        """Write what was changed of it."""
        self.session.add(client)
        await self.session.flush()

    async def delete(self, client: Client) -> None:
        """Delete, with all that was granted to it."""
        await self.session.delete(client)
        await self.session.flush()

    async def page(self, after: str | None, limit: int) -> list[Client]:
        """Clients by their ids."""
        statement = select(Client).order_by(col(Client.id)).limit(limit)
        if after is not None:
            statement = statement.where(Client.id > after)
        return list((await self.session.exec(statement)).all())

    async def _one(self, statement: object) -> Client:
        found = await self.session.exec(statement, execution_options={"populate_existing": True})  # type: ignore[call-overload]
        client: Client | None = found.one_or_none()
        if client is None:
            raise ClientNotFoundError
        return client

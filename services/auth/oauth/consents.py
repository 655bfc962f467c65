"""What people have allowed clients: to look at, and to take back."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.clients.models import Client
from services.auth.oauth.models import Consent
from services.auth.oauth.repository import OAuthRepository, in_transaction, run
from services.common.postgres import DatabaseSession


class ConsentService:
    """The consents of one person at a time."""

    def __init__(self, session: DatabaseSession, origin: Origin, *, revoked: Callable[[], Any]) -> None:
        """Take what it needs, and what to call after something was revoked."""
        self._session = session
        self._origin = origin
        self._revoked = revoked

    async def list(self, user_id: UUID) -> list[tuple[Consent, Client]]:
        """All that the person has allowed, by the clients' names."""
        return await run(self._session, lambda repository: repository.consents(user_id))

    async def withdraw(self, user_id: UUID, client_id: str) -> bool:
        """Take a consent back: what the client got by it stops working. False when there was none."""

        def work(repository: OAuthRepository) -> bool:
            withdrawn = repository.withdraw(user_id, client_id)
            if withdrawn:
                record(
                    repository.session,
                    Event.CONSENT_WITHDRAWN,
                    self._origin,
                    actor=user_id,
                    subject=user_id,
                    client_id=client_id,
                )
            return withdrawn

        withdrawn = await in_transaction(self._session, work)
        if withdrawn:
            self._revoked()
        return withdrawn

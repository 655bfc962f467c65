"""What all administration of users and roles holds to.

Nobody gives, takes or touches scopes that they do not hold themselves, and somebody who may administer users and can
sign in is always left. Whoever changes either takes one lock first, so that of two at once the later one sees what the
earlier did; then rows of users are locked, before anything is revoked.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from services.auth.audit.actor import Actor
from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.revocations.record import revoke
from services.auth.sessions.service import SessionService
from services.auth.settings import SessionSettings
from services.auth.users.exceptions import LastAdministratorError, MoreThanYoursError, UserNotFoundError
from services.auth.users.models import User
from services.auth.users.repository import UserRepository
from services.auth.users.role_repository import RoleRepository
from services.common.postgres import DatabaseSession


class Administration:
    """One transaction of an administrator's. `wake` is called after the commit when tokens are to be refused."""

    def __init__(
        self,
        session: DatabaseSession,
        settings: SessionSettings,
        actor: Actor,
        origin: Origin,
        *,
        wake: Callable[[], object],
    ) -> None:
        """Take who does it, from where."""
        self._session = session
        self._actor = actor
        self._origin = origin
        self._wake = wake
        self._users = UserRepository(session)
        self._roles = RoleRepository(session)
        self._sessions = SessionService(session, settings)
        self._administrators = 0

    async def _lock(self) -> None:
        """Be the only one to change who has which scopes."""
        await self._roles.lock()
        self._administrators = await self._roles.administrators()

    async def _check_administrators(self) -> None:
        """Raise LastAdministratorError when the change leaves nobody; it is then rolled back."""
        if self._administrators and not await self._roles.administrators():
            raise LastAdministratorError

    def _require(self, scopes: Iterable[str]) -> None:
        missing = set(scopes) - self._actor.scopes
        if missing:
            raise MoreThanYoursError(missing)

    async def _target(self, user_id: UUID, *, remove: bool = False) -> User:
        """The user, locked. Raises UserNotFoundError, and MoreThanYoursError for who has what the actor has not."""
        user = await self._users.lock(user_id, remove=remove)
        if user is None:
            raise UserNotFoundError(user_id)
        for role in await self._roles.of(user_id):
            self._require(role.scopes)
        return user

    def _revoke(self, user_id: UUID) -> None:
        """Have the tokens refused that a user has now; their row is locked."""
        revoke(self._session, "user", user_id)

    async def _end_all(self, user_id: UUID, why: str) -> None:
        """Sign a user out everywhere; their row is locked."""
        await self._sessions.end_all(user_id, self._origin, actor=self._actor.name, why=why)
        self._revoke(user_id)

    async def _commit(self) -> None:
        await self._session.commit()
        self._wake()

    def _record(self, event: Event, subject: object, **details: Any) -> None:
        actor = self._actor
        record(
            self._session, event, self._origin, actor=actor.name, client_id=actor.client_id, subject=subject, **details
        )

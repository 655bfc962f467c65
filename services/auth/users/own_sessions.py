"""What people see and end of their own sessions."""

from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin
from services.auth.sessions.models import UserSession
from services.auth.users.account import Account
from services.auth.users.schemas import SessionList, SessionRead, UserRead
from services.auth.users.user_administration import shown


class OwnSessions(Account):
    """One's own, whatever token asks: `current` is the `sid` of that."""

    async def profile(self, user_id: UUID) -> UserRead:
        """Who somebody is here. Raises UserNotFoundError."""
        user = await self.user(user_id)
        return shown(user, [role.name for role in await self._roles.of(user_id)])

    async def sessions(self, user_id: UUID, current: str | None) -> SessionList:
        """Where somebody is signed in, the newest first."""
        return SessionList(items=[_shown(row, current) for row in await self._sessions.list(user_id)])

    async def end_session(self, user_id: UUID, session_id: UUID, origin: Origin) -> None:
        """End one of somebody's own. Raises SessionNotFoundError."""
        await self._sessions.end(session_id, user_id, origin)
        await self._users.commit()
        self._wake()

    async def end_other_sessions(self, user_id: UUID, current: str | None, origin: Origin) -> int:
        """End all but one, and what was granted in the others; returns how many."""
        ended = await self._sessions.end_all(user_id, origin, None if current is None else UUID(current))
        self._record(Event.USER_SIGNED_OUT_EVERYWHERE, await self.user(user_id), origin, others=True)
        await self._users.commit()
        self._wake()
        return ended


def _shown(row: UserSession, current: str | None) -> SessionRead:
    known = row.model_dump(include={"id", "created_at", "seen_at", "expires_at", "address", "user_agent"})
    return SessionRead(**known, current=str(row.id) == current)

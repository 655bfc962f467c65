"""What can be done with sessions. The transaction is the caller's: only `find` commits, and says why."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.revocations.record import revoke
from services.auth.sessions.exceptions import SessionNotFoundError, SignInAgainError
from services.auth.sessions.models import UserSession
from services.auth.sessions.repository import SessionRepository
from services.auth.settings import SessionSettings
from services.common.postgres import DatabaseSession

VALUE_BYTES = 32
USER_AGENT_MAX = 300


class SessionService:
    """Sessions in browsers: begun by a sign-in, found by the cookie's value, ended for good."""

    def __init__(self, session: DatabaseSession, settings: SessionSettings) -> None:
        self._session = session
        self._sessions = SessionRepository(session)
        self._settings = settings

    async def start(
        self, user_id: UUID, methods: Sequence[str], origin: Origin, *, as_of: datetime | None = None
    ) -> tuple[UserSession, str]:
        """Begin a session: the row, and the cookie's value, which nothing else knows.

        `as_of` is the `updated_at` of the user whose password was checked: whoever changed since must sign in again.
        Raises SignInAgainError, also for users who are disabled or have yet to choose their own password.
        """
        await self._sessions.lock_user(user_id, change=False)
        if not await self._sessions.may_sign_in(user_id, as_of):
            raise SignInAgainError("This user cannot be signed in as things are now.")
        value = secrets.token_urlsafe(VALUE_BYTES)
        started = await self._sessions.add(
            self._settings.session_seconds,
            {
                "id": uuid7(),
                "token_hash": _hash(value),
                "user_id": user_id,
                "methods": list(methods),
                "address": origin.address,
                "user_agent": (origin.user_agent or "")[:USER_AGENT_MAX] or None,
            },
        )
        self._signed_in(started, origin)
        return started, value

    async def reauthenticated(
        self, session_id: UUID, methods: Sequence[str], origin: Origin
    ) -> tuple[UserSession, str]:
        """Note that the person has shown anew who they are; the cookie gets another value (ASVS 5.0, 7.2.4).

        Raises SignInAgainError when the session has ended meanwhile.
        """
        value = secrets.token_urlsafe(VALUE_BYTES)
        idle = self._settings.session_idle_seconds
        renewed = await self._sessions.renew(session_id, idle, _hash(value), list(methods))
        if renewed is None:
            raise SignInAgainError("The session has ended.")
        self._signed_in(renewed, origin, again=True)
        return renewed, value

    async def find(self, cookie_value: str) -> UserSession | None:
        """The live session with this value, of a user who is not disabled.

        To be asked first in a transaction: once a minute it notes that the session is in use, and commits, so that the
        note lasts whatever the request comes to, and requests of one browser do not wait for each other.
        """
        found = await self._sessions.find(_hash(cookie_value), self._settings.session_idle_seconds)
        if found is not None and await self._sessions.see(found.id):
            await self._sessions.commit()
        return found

    async def end(self, session_id: UUID, user_id: UUID, origin: Origin) -> None:
        """End one session of the user's; raises SessionNotFoundError. What was granted for longer goes on."""
        if not await self._sessions.end(user_id, session_id):
            raise SessionNotFoundError(session_id)
        for grant_id in await self._sessions.revoke_grants_of(session_id, "signed_out"):
            revoke(self._session, "grant", grant_id)
        self._ended(session_id, user_id, user_id, origin, "signed_out")

    async def end_all(
        self,
        user_id: UUID,
        origin: Origin,
        except_id: UUID | None = None,
        *,
        actor: object = None,
        why: str = "signed_out_everywhere",
    ) -> int:
        """End all of the user's sessions save one, with all that was granted in others; returns how many.

        `actor` is who does it, if not the user. Holds the user's row.
        """
        await self._sessions.lock_user(user_id, change=True)
        ended = await self._sessions.end_all(user_id, except_id)
        for session_id in ended:
            self._ended(session_id, user_id, actor or user_id, origin, why)
        for grant_id in await self._sessions.revoke_grants(user_id, except_id, why):
            revoke(self._session, "grant", grant_id)
        return len(ended)

    async def revoke_grants(self, user_id: UUID, why: str) -> None:
        """Revoke all that the user granted, in whatever session."""
        for grant_id in await self._sessions.revoke_grants(user_id, None, why):
            revoke(self._session, "grant", grant_id)

    async def list(self, user_id: UUID) -> list[UserSession]:
        """The user's live sessions, the newest first."""
        return await self._sessions.live_of(user_id, self._settings.session_idle_seconds)

    def _ended(self, session_id: UUID, user_id: UUID, actor: object, origin: Origin, why: str) -> None:
        revoke(self._session, "session", session_id)
        record(
            self._session,
            Event.SESSION_ENDED,
            origin,
            actor=actor,
            subject=user_id,
            session_id=session_id,
            why=why,
        )

    def _signed_in(self, session: UserSession, origin: Origin, *, again: bool = False) -> None:
        record(
            self._session,
            Event.SIGN_IN_SUCCEEDED,
            origin,
            actor=session.user_id,
            subject=session.user_id,
            session_id=session.id,
            methods=session.methods,
            again=again,
        )


def _hash(value: str) -> bytes:
    # what a browser sends may be no text that UTF-8 can hold; it is then nobody's
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()

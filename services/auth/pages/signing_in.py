"""From a right password to a session in this browser, one step after the other."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.audit.record import Origin
from services.auth.oauth.dependencies import UserSessionDep
from services.auth.pages import cookies
from services.auth.pages.cookies import Purpose, Steps
from services.auth.pages.exceptions import ElsewhereError
from services.auth.sessions.cookies import clear_cookie, set_cookie
from services.auth.sessions.exceptions import SessionNotFoundError
from services.auth.sessions.models import UserSession
from services.auth.sessions.service import SessionService
from services.auth.users.sign_in import SignIn
from services.common.postgres import DatabaseSession, SessionDep

TOO_LATE = "/login?notice=too-late"


class Browser:
    """What a browser has in its cookies, and the answers that change that."""

    def __init__(
        self, request: Request, session: DatabaseSession, origin: Origin, user_session: UserSession | None
    ) -> None:
        self._request = request
        self._session = session
        self._origin = origin
        self._here = user_session
        self.sessions = SessionService(session, request.state.settings)
        self._steps = Steps(request.state.settings.token_key.get_secret_value())

    def remembered(self, purpose: Purpose) -> dict[str, str] | None:
        """What was remembered for this purpose."""
        return self._steps.open(purpose, self._request.cookies.get(cookies.STEP))

    def expected(self, purpose: Purpose) -> dict[str, str]:
        """The same, of a step that cannot go on without. Raises ElsewhereError: back to the sign-in, which says why."""
        known = self.remembered(purpose)
        if known is None:
            raise ElsewhereError(TOO_LATE)
        return known

    def go(self, location: str, purpose: Purpose | None = None, **values: str) -> Response:
        """On to the next page, which finds these values; without a purpose, nothing is remembered any more."""
        response = Response(status_code=303, headers={"Location": location, "Cache-Control": "no-store"})
        if purpose is None:
            self.forget(response)
        else:
            self.remember(response, purpose, **values)
        return response

    def remember(self, response: Response, purpose: Purpose, **values: str) -> None:
        """Keep these values for the pages that come."""
        cookies.set_step(response, self._steps.seal(purpose, values))

    def forget(self, response: Response) -> None:
        """Keep nothing any more."""
        cookies.clear_step(response)

    async def go_on(self, signed_in: SignIn, goal: str) -> Response:
        """After a right password that is the person's own: the second factor, or the session."""
        user = signed_in.user
        if signed_in.needs_second_factor:
            known = {"user": str(user.id), "as_of": user.updated_at.isoformat(), "goal": goal}
            return self.go("/login/second-factor", Purpose.SECOND_FACTOR, **known)
        return await self.start(user.id, ["pwd"], user.updated_at, goal)

    async def start(self, user_id: UUID, methods: Sequence[str], as_of: datetime, goal: str) -> Response:
        """A session, and the page that it was wanted for.

        Whoever is signed in here already has shown anew that it is them; somebody else's session ends. Raises
        SignInAgainError.
        """
        here = self._here
        if here is not None and here.user_id == user_id:
            started, value = await self.sessions.reauthenticated(here.id, methods, self._origin)
        else:
            if here is not None:
                with suppress(SessionNotFoundError):  # it has just ended by itself
                    await self.sessions.end(here.id, here.user_id, self._origin)
            started, value = await self.sessions.start(user_id, methods, self._origin, as_of=as_of)
        await self._commit()
        response = self.go(goal)
        set_cookie(response, value, int((started.expires_at - datetime.now(UTC)).total_seconds()))
        return response

    async def sign_out(self, location: str) -> Response:
        """End the session of this browser."""
        if self._here is not None:
            with suppress(SessionNotFoundError):
                await self.sessions.end(self._here.id, self._here.user_id, self._origin)
            await self._commit()
        response = self.go(location)
        clear_cookie(response)
        return response

    async def end_session(self, session_id: str, here: UserSession) -> None:
        """End another session of the same person; one that has ended stays so."""
        with suppress(SessionNotFoundError, ValueError):
            await self.sessions.end(UUID(session_id), here.user_id, self._origin)
        await self._commit()

    async def end_others(self, here: UserSession) -> None:
        """End all sessions of the person but this one."""
        await self.sessions.end_all(here.user_id, self._origin, except_id=here.id)
        await self._commit()

    async def _commit(self) -> None:
        await self._session.commit()
        self._request.state.publisher.wake()


async def get_browser(
    request: Request, session: SessionDep, origin: OriginDep, user_session: UserSessionDep
) -> Browser:
    """The browser that asks."""
    return Browser(request, session, origin, user_session)


BrowserDep = Annotated[Browser, Depends(get_browser)]

"""What everything that people do with their accounts stands on."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin, record
from services.auth.metrics import AuthMetrics
from services.auth.sealing import Sealer
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.auth.users.codes import MailedCodes
from services.auth.users.exceptions import TooManyAttemptsError, UserNotFoundError, WrongPasswordError
from services.auth.users.factor_repository import CodeRepository, FactorRepository
from services.auth.users.letters import Letter, Letters
from services.auth.users.limits import SignInLimits
from services.auth.users.mail import Outbox
from services.auth.users.models import User
from services.auth.users.passwords import PasswordHasher
from services.auth.users.repository import UserRepository
from services.auth.users.role_repository import RoleRepository
from services.auth.users.second_factor import SecondFactor
from services.common.postgres import DatabaseSession


class Account:
    """The parts, given once."""

    def __init__(
        self,
        session: DatabaseSession,
        settings: AuthSettings,
        *,
        passwords: PasswordHasher,
        limits: SignInLimits,
        outbox: Outbox,
        sealer: Sealer,
        wake: Callable[[], object],
        metrics: AuthMetrics | None = None,
    ) -> None:
        """Take a session of its own, and what to call after a commit that revoked something."""
        self._session = session
        self._settings = settings
        self._passwords = passwords
        self._limits = limits
        self._outbox = outbox
        self._wake = wake
        self._metrics = metrics or AuthMetrics(None)
        self._users = UserRepository(session)
        self._roles = RoleRepository(session)
        self._sessions = SessionService(session, settings)
        self._factors = SecondFactor(FactorRepository(session), sealer)
        self._codes = MailedCodes(CodeRepository(session))
        self._letters = Letters(settings.issuer)

    async def user(self, user_id: UUID) -> User:
        """Somebody who is not disabled. Raises UserNotFoundError."""
        user = await self._users.get(user_id)
        if user is None or user.disabled_at is not None:
            raise UserNotFoundError(user_id)
        return user

    async def confirm_password(self, user_id: UUID, password: str, origin: Origin) -> User:
        """Have somebody who is signed in show that it is them.

        Raises WrongPasswordError, UserNotFoundError, TooManyAttemptsError, UnavailableError.
        """
        user = await self.user(user_id)
        await self._users.release()
        await self._permit(self._limits.check(user.email, origin.address), origin, user.email)
        verdict = await self._passwords.verify(user.password_hash, password)
        if not verdict.ok:
            self._record(Event.SIGN_IN_FAILED, user, origin, why="password", again=True)
            await self._users.commit()
            raise WrongPasswordError
        return user

    async def _permit(self, check: Awaitable[None], origin: Origin, email: str | None = None) -> None:
        """Ask a limit. A refusal is written down, but not each of a flood: the log would be the flood's next aim."""
        try:
            await check
        except TooManyAttemptsError:
            if await self._limits.is_news(email or "", origin.address):
                found = None if email is None else await self._users.by_email(email)
                self._record(Event.SIGN_IN_LIMITED, found[0] if found else None, origin)
                await self._users.commit()
            raise

    def _record(self, event: Event, user: User | None, origin: Origin, **details: Any) -> None:
        """Write down what somebody did, or what was tried with their account; what was typed is not repeated."""
        subject = None if user is None else user.id
        record(self._session, event, origin, actor=subject, subject=subject, **details)

    def _tell(self, user: User, letter: Letter) -> None:
        """Let somebody know what was done with their account, where mail can leave."""
        if self._outbox.can_send:
            self._outbox.post(user.email, *letter)

"""What everything that people do with their accounts stands on."""

from collections.abc import Callable
from uuid import UUID

from services.auth.sealing import Sealer
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.auth.users.limits import SignInLimits
from services.auth.users.mail import Outbox
from services.auth.users.models import User
from services.auth.users.passwords import PasswordHasher
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
    ) -> None:
        """Take a session of its own, and what to call after a commit that revoked something."""
        self._session = session
        self._settings = settings
        self._passwords = passwords
        self._limits = limits
        self._outbox = outbox
        self._sealer = sealer
        self._wake = wake
        self._sessions = SessionService(session, settings)

    async def user(self, user_id: UUID) -> User:
        """Somebody who is not disabled. Raises UserNotFoundError."""
        raise NotImplementedError

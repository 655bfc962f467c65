"""Turning the second factor on and off."""

from uuid import UUID

from services.auth.audit.events import Event
from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.exceptions import SecondFactorIsOffError, SecondFactorIsOnError, WrongCodeError
from services.auth.users.second_factor import NewTotp


class FactorChanges(Account):
    """The authenticator app and its recovery codes."""

    async def second_factor_is_on(self, user_id: UUID) -> bool:
        """Whether codes are asked for."""
        return await self._factors.is_on(user_id)

    async def recovery_codes_left(self, user_id: UUID) -> int:
        """How many were not used."""
        return await self._factors.recovery_codes_left(user_id)

    async def begin_totp(self, user_id: UUID) -> NewTotp:
        """A new secret for an app, to be shown once. Raises SecondFactorIsOnError, UserNotFoundError."""
        user = await self.user(user_id)
        begun = await self._factors.begin(user_id, account=user.email, issuer=self._letters.host)
        await self._users.commit()
        if begun is None:
            raise SecondFactorIsOnError("There is an authenticator app already; remove it first.")
        return begun

    async def pending_totp(self, user_id: UUID) -> NewTotp | None:
        """The secret that waits for `confirm_totp`, to show its page again."""
        user = await self.user(user_id)
        return await self._factors.pending(user_id, account=user.email, issuer=self._letters.host)

    async def confirm_totp(self, user_id: UUID, code: str, origin: Origin) -> list[str]:
        """Turn it on; returns the recovery codes, to be shown once.

        Raises WrongCodeError, TooManyAttemptsError, UserNotFoundError.
        """
        user = await self.user(user_id)
        await self._users.release()
        await self._permit(self._limits.check_second_factor(user_id, origin.address), origin, user.email)
        await self._users.lock(user_id)
        codes = await self._factors.confirm(user_id, code)
        if codes is None:
            self._record(Event.SECOND_FACTOR_FAILED, user, origin)
        else:
            await self._users.change(user_id)  # who is signing in without it right now has to begin again
            self._record(Event.SECOND_FACTOR_ADDED, user, origin)
        await self._users.commit()
        if codes is None:
            raise WrongCodeError
        self._tell(user, self._letters.second_factor(on=True))
        return codes

    async def remove_totp(self, user_id: UUID, password: str, origin: Origin) -> None:
        """Turn it off. Raises WrongPasswordError, SecondFactorIsOffError, UserNotFoundError, TooManyAttemptsError."""
        user = await self.confirm_password(user_id, password, origin)
        if not await self._factors.remove(user_id):
            raise SecondFactorIsOffError("There is no authenticator app.")
        self._record(Event.SECOND_FACTOR_REMOVED, user, origin)
        await self._users.commit()
        self._tell(user, self._letters.second_factor(on=False))

    async def renew_recovery_codes(self, user_id: UUID, password: str, origin: Origin) -> list[str]:
        """Ten new ones; those before are good no more.

        Raises WrongPasswordError, SecondFactorIsOffError, UserNotFoundError, TooManyAttemptsError.
        """
        user = await self.confirm_password(user_id, password, origin)
        if not await self._factors.is_on(user_id):
            raise SecondFactorIsOffError("There is no authenticator app.")
        codes = await self._factors.renew_recovery_codes(user_id)
        self._record(Event.RECOVERY_CODES_RENEWED, user, origin)
        await self._users.commit()
        return codes

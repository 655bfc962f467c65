"""Turning the second factor on and off."""

from uuid import UUID

from services.auth.audit.record import Origin
from services.auth.users.account import Account
from services.auth.users.second_factor import NewTotp


class FactorChanges(Account):
    """The authenticator app and its recovery codes."""

    async def second_factor_is_on(self, user_id: UUID) -> bool:
        """Whether codes are asked for."""
        raise NotImplementedError

    async def recovery_codes_left(self, user_id: UUID) -> int:
        """How many were not used."""
        raise NotImplementedError

    async def begin_totp(self, user_id: UUID) -> NewTotp:
        """A new secret for an app, to be shown once. Raises SecondFactorIsOnError."""
        raise NotImplementedError

    async def pending_totp(self, user_id: UUID) -> NewTotp | None:
        """The secret that waits for `confirm_totp`, to show its page again."""
        raise NotImplementedError

    async def confirm_totp(self, user_id: UUID, code: str, origin: Origin) -> list[str]:
        """Turn it on; returns the recovery codes, to be shown once. Raises WrongCodeError, TooManyAttemptsError."""
        raise NotImplementedError

    async def remove_totp(self, user_id: UUID, password: str, origin: Origin) -> None:
        """Turn it off. Raises WrongPasswordError, SecondFactorIsOffError, TooManyAttemptsError."""
        raise NotImplementedError

    async def renew_recovery_codes(self, user_id: UUID, password: str, origin: Origin) -> list[str]:
        """Ten new ones; those before are good no more.

        Raises WrongPasswordError, SecondFactorIsOffError, TooManyAttemptsError.
        """
        raise NotImplementedError

"""What may go wrong with people, in sentences for them."""

from collections.abc import Iterable

from services.common.exceptions import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServiceError,
    UnauthenticatedError,
    UnprocessableError,
)


class TooManyAttemptsError(ServiceError):
    """Refused by a limit; trying again after a while helps (RFC 6585 4)."""

    status, title, slug = 429, "Too many attempts", "too-many-attempts"

    def __init__(self, retry_after_seconds: int) -> None:
        """Take the seconds of the Retry-After header; which of the limits it was stays unsaid."""
        seconds = max(1, retry_after_seconds)
        super().__init__(f"Too many attempts; try again in {seconds} seconds.", headers={"Retry-After": str(seconds)})


class WeakPasswordError(UnprocessableError):
    """A new password that is refused; the sentence helps to find a better one, and never quotes it."""

    title, slug = "Password refused", "weak-password"


class BadCredentialsError(UnauthenticatedError):
    """E-mail and password do not belong together; it stays unsaid which of them is wrong, or whether it is another."""

    title, slug = "Not signed in", "bad-credentials"

    def __init__(self) -> None:
        """The same whatever is wrong: nobody, another password, disabled, a one-time password that is too old."""
        super().__init__("The e-mail address or the password is wrong.")


class WrongPasswordError(UnprocessableError):
    """Somebody who is signed in gave another password than theirs."""

    title, slug = "Wrong password", "wrong-password"

    def __init__(self) -> None:
        """Say which of the two."""
        super().__init__("The current password is wrong.")


class WrongCodeError(UnprocessableError):
    """A code that was typed is not the one; another try may be."""

    title, slug = "Wrong code", "wrong-code"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The code is wrong; look again.")


class CodeEndedError(UnprocessableError):
    """A mailed code was used, came too late or was tried too often."""

    title, slug = "Code ended", "code-ended"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The code is good no more; ask for another.")


class InvalidEmailError(UnprocessableError):
    """No e-mail address, or none that mail could be sent to."""

    title, slug = "E-mail address refused", "invalid-email"

    def __init__(self) -> None:
        """Say what would be right."""
        super().__init__("This is no e-mail address such as ada@example.com.")


class InvalidNameError(UnprocessableError):
    """No name that can be shown."""

    title, slug = "Name refused", "invalid-name"

    def __init__(self, most: int) -> None:
        """Say what would be right."""
        super().__init__(f"A name has 1 to {most} characters, none of them a control character.")


class SignUpClosedError(ForbiddenError):
    """Accounts are made by administrators here."""

    title, slug = "Sign-up is closed", "sign-up-closed"

    def __init__(self) -> None:
        """Say who can help."""
        super().__init__("Accounts are made by administrators here; ask one of them.")


class NoMailError(ForbiddenError):
    """No mail can leave, so no code can be sent."""

    title, slug = "No mail", "no-mail"

    def __init__(self) -> None:
        """Say who can help."""
        super().__init__("No mail is sent from here; an administrator can make a one-time password.")


class SecondFactorIsOnError(ConflictError):
    """There is an authenticator already: remove it before adding another."""

    title, slug = "Second factor is on", "second-factor-on"


class SecondFactorIsOffError(ConflictError):
    """There is no authenticator that could be removed, or have recovery codes."""

    title, slug = "Second factor is off", "second-factor-off"


class UserNotFoundError(NotFoundError):
    """There is no such user."""

    title, slug = "User not found", "user-not-found"

    def __init__(self, user: object) -> None:
        """Name who was asked for."""
        super().__init__(f"There is no user {user}.")


class RoleNotFoundError(NotFoundError):
    """There is no such role."""

    title, slug = "Role not found", "role-not-found"

    def __init__(self, name: str) -> None:
        """Name the role that was asked for."""
        super().__init__(f"There is no role {name}.")


class UnknownRolesError(UnprocessableError):
    """Roles were to be given that are not there."""

    title, slug = "Unknown roles", "unknown-roles"

    def __init__(self, names: Iterable[str]) -> None:
        """Name them."""
        super().__init__(f"There are no roles {', '.join(sorted(names))}.")


class EmailTakenError(ConflictError):
    """Somebody has this address; for administrators, who may know."""

    title, slug = "E-mail address taken", "email-taken"

    def __init__(self) -> None:
        """Say it without repeating the address."""
        super().__init__("There is a user with this e-mail address.")


class MoreThanYoursError(ForbiddenError):
    """Somebody would give or touch what they do not have themselves."""

    title, slug = "More than yours", "more-than-yours"

    def __init__(self, scopes: Iterable[str]) -> None:
        """Name what they lack."""
        super().__init__(f"This needs the scopes {' '.join(sorted(scopes))} as well, which your token does not have.")


class LastAdministratorError(ConflictError):
    """Nobody would be left who may administer users."""

    title, slug = "Last administrator", "last-administrator"

    def __init__(self) -> None:
        """Say what to do before."""
        super().__init__("Nobody who may administer users (users:admin) would be left; give it to somebody else first.")


class AdministratorExistsError(ConflictError):
    """There is a first administrator already."""

    title, slug = "There is an administrator", "administrator-exists"

    def __init__(self) -> None:
        """Say what to do instead."""
        super().__init__("There is an administrator; ask one, or make a one-time password for one")


class NotAPersonError(ForbiddenError):
    """A client asks for itself where only people have something."""

    title, slug = "Not a person", "not-a-person"

    def __init__(self) -> None:
        """Say whose token would do."""
        super().__init__("This is for people; the token is one of a client's own.")

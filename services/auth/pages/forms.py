"""What people typed: endpoints get it through these dependencies alone, which first see that the form is ours."""

from collections.abc import Mapping
from typing import Annotated

from authlib.oauth2.rfc6749 import OAuth2Error  # type: ignore[import-untyped]
from fastapi import Depends, Request

from services.auth.oauth.dependencies import UserSessionDep
from services.auth.oauth.requests import FORM, decode, is_form
from services.auth.pages import cookies
from services.auth.pages.continuing import ACCOUNT
from services.auth.pages.csrf import Csrf, is_foreign
from services.auth.pages.exceptions import ElsewhereError, FieldError, ForeignFormError, StaleFormError
from services.auth.pages.rendering import TOKEN
from services.auth.sessions.models import UserSession
from services.common.exceptions import BadRequestError, UnsupportedMediaTypeError

MOST = 1024  # characters of a field; a password may have as many bytes
SECRETS = ("password", "new_password", "code", TOKEN)  # never shown again


class Form:
    """The fields of one form."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Take names and values in their order."""
        self._pairs = pairs

    def text(self, name: str, asked: str, *, most: int = MOST) -> str:
        """A field without the spaces around it; `asked` says what to do when it is empty. Raises FieldError."""
        value = self.optional(name).strip()
        if not value:
            raise FieldError(name, asked)
        if len(value) > most:
            raise FieldError(name, f"This is longer than {most} characters.")
        return value

    def password(self, name: str, asked: str) -> str:
        """A password to the last space, however long. Raises FieldError when it is empty."""
        value = self.optional(name)
        if not value:
            raise FieldError(name, asked)
        return value

    def optional(self, name: str) -> str:
        """The first value of a field, or nothing."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self._pairs if key == name]

    def shown_again(self) -> Mapping[str, str]:
        """What need not be typed once more."""
        return {name: value[:MOST] for name, value in reversed(self._pairs) if name not in SECRETS}


async def get_sign_in_form(request: Request) -> Form:
    """The form of a browser in which nobody need be signed in. Raises ForeignFormError, StaleFormError."""
    return await _checked(request, request.cookies.get(cookies.PRE_SESSION, ""))


async def get_signed_in(user_session: UserSessionDep) -> UserSession:
    """The session of this browser. Raises ElsewhereError: whoever has none signs in first."""
    if user_session is None:
        raise ElsewhereError(f"/login?continue={ACCOUNT}")
    return user_session


SignedInDep = Annotated[UserSession, Depends(get_signed_in)]


async def get_account_form(request: Request, user_session: SignedInDep) -> Form:
    """The form of whoever is signed in, and of nobody else. Raises ForeignFormError, StaleFormError."""
    return await _checked(request, str(user_session.id))


SignInFormDep = Annotated[Form, Depends(get_sign_in_form)]
AccountFormDep = Annotated[Form, Depends(get_account_form)]


async def _checked(request: Request, binding: str) -> Form:
    settings = request.state.settings
    if is_foreign(request.headers, settings.issuer):
        raise ForeignFormError
    if not is_form(request.headers.get("content-type")):
        raise UnsupportedMediaTypeError(f"The body must be {FORM}")
    try:
        form = Form(decode(await request.body()))
    except OAuth2Error:
        raise BadRequestError("The form cannot be read.") from None
    request.state.typed = form.shown_again()  # from here on, an error shows the form again
    if not Csrf(settings.token_key.get_secret_value()).check(form.optional(TOKEN), binding):
        raise StaleFormError
    return form

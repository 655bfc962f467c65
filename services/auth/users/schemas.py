"""What goes in and out of the paths of users and roles: closed, typed strictly and bounded."""

from datetime import datetime
from typing import Annotated, NotRequired
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic cannot see NotRequired in the one of Python 3.11

from services.auth.scopes import PERSONAL_SCOPES, SCOPES
from services.auth.users.emails import check_name, known_by
from services.auth.users.exceptions import InvalidNameError
from services.auth.users.models import EMAIL_MAX, NAME_MAX
from services.common.schemas import Id, Limit, Text

ROLE = r"^[a-z][a-z0-9-]{0,39}$"
ROLES_MAX = 20
DESCRIPTION_MAX = 200


def _email(text: str) -> str:
    known = known_by(text)
    if known is None:
        raise PydanticCustomError("email", "must be an e-mail address such as ada@example.com")
    return known


def _name(text: str) -> str:
    try:
        return check_name(text)
    except InvalidNameError as error:
        raise PydanticCustomError("name", "must be a name without control characters") from error


def _for_roles(scope: str) -> str:
    if scope not in SCOPES or scope in PERSONAL_SCOPES:
        raise PydanticCustomError("scope", "must be a scope that roles give")
    return scope


def _distinct(words: list[str]) -> list[str]:
    if len(set(words)) < len(words):
        raise PydanticCustomError("distinct", "must not name the same one twice")
    return words


Email = Annotated[Text, Field(max_length=EMAIL_MAX), AfterValidator(_email)]
Name = Annotated[Text, Field(min_length=1, max_length=NAME_MAX), AfterValidator(_name)]
RoleName = Annotated[str, Field(pattern=ROLE)]
Roles = Annotated[list[RoleName], Field(max_length=ROLES_MAX), AfterValidator(_distinct)]
Scope = Annotated[str, AfterValidator(_for_roles)]
Scopes = Annotated[list[Scope], Field(max_length=len(SCOPES)), AfterValidator(_distinct)]


class UserWrite(BaseModel):
    """A new user, who gets a one-time password."""

    model_config = ConfigDict(extra="forbid", strict=True)

    email: Email
    name: Name
    roles: Roles = []


class UserPatch(TypedDict):
    """A merge patch (RFC 7396)."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]  # pydantic's way to say it

    name: NotRequired[Name]


class UserRoles(BaseModel):
    """All roles that a user has from now on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    roles: Roles


class UserRead(BaseModel):
    """A user as administrators, and they themselves, see them."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    email_verified: bool
    name: str
    roles: list[str]
    must_change_password: bool
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None


class OneTimePassword(BaseModel):
    """A password that is good once, until then, to choose another. It is shown here and never again."""

    one_time_password: str = Field(repr=False)
    expires_at: datetime


class UserCreated(UserRead, OneTimePassword):
    """A new user with the password that they begin with."""


class UserList(BaseModel):
    """Which users to list: in the order in which they came."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 20
    # a user's id: who may list users may begin anywhere, so it need not be signed
    cursor: Annotated[Id | None, Field(description="`next_cursor` of the page before")] = None


class UserPage(BaseModel):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[UserRead]
    next_cursor: UUID | None


class SessionRead(BaseModel):
    """Where somebody is signed in; `current` is the one that the caller's token came from."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    current: bool


class SessionList(BaseModel):
    """All live sessions, the newest first."""

    items: list[SessionRead]


class Ended(BaseModel):
    """How many sessions ended."""

    ended: int


class RoleWrite(BaseModel):
    """What a role is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    description: Annotated[Text, Field(max_length=DESCRIPTION_MAX)] = ""
    scopes: Scopes


class RoleRead(BaseModel):
    """A named set of scopes."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    scopes: list[str]


class RoleList(BaseModel):
    """All roles, by name."""

    items: list[RoleRead]

"""What goes in and out of the paths of clients."""

import re
from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic cannot see NotRequired in the one of Python 3.11

from services.auth.audit.record import OPERATOR
from services.auth.clients.models import ID_MAX, NAME_MAX
from services.auth.clients.redirect_uris import URI_MAX, check_redirect_uri
from services.auth.scopes import SCOPES
from services.common.schemas import Limit, Text

URIS_MAX = 20
_ID = re.compile("[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")


def _usable_id(value: str) -> str:
    """Ids of clients and of users both become `sub` of tokens and `actor` of the audit log (RFC 9068 5)."""
    if not _ID.fullmatch(value):
        raise ValueError("must be of lower-case letters, digits and single . _ - between them, such as web-shop")
    if value == OPERATOR or _is_uuid(value):
        raise ValueError("must not look like a user's id, nor be the word operator")
    return value


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _readable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("must be text that people can read, without spaces at its ends")
    return value


def _known_scope(value: str) -> str:
    if value not in SCOPES:
        raise ValueError(f"must be one of {' '.join(SCOPES)}")
    return value


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("must not name the same twice")
    return values


ClientId = Annotated[str, Field(min_length=1, max_length=ID_MAX), AfterValidator(_usable_id)]
Name = Annotated[Text, Field(min_length=1, max_length=NAME_MAX), AfterValidator(_readable)]
RedirectUri = Annotated[str, Field(max_length=URI_MAX), AfterValidator(check_redirect_uri)]
RedirectUris = Annotated[list[RedirectUri], Field(max_length=URIS_MAX), AfterValidator(_distinct)]
GrantType = Literal["authorization_code", "refresh_token", "client_credentials"]
GrantTypes = Annotated[list[GrantType], Field(max_length=3), AfterValidator(_distinct)]
Scope = Annotated[str, AfterValidator(_known_scope), Field(json_schema_extra={"enum": [*SCOPES]})]
Scopes = Annotated[list[Scope], Field(max_length=len(SCOPES)), AfterValidator(_distinct)]
Method = Literal["client_secret_basic", "client_secret_post", "none"]
SecretMethod = Literal["client_secret_basic", "client_secret_post"]


class ClientWrite(BaseModel):
    """A client to be registered. Without an id it is given one, without grant types those that it can use."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: ClientId | None = None
    name: Name
    authentication_method: Annotated[Method, Field(description="none: a public client")] = "client_secret_basic"
    redirect_uris: RedirectUris = []
    post_logout_redirect_uris: RedirectUris = []
    grant_types: GrantTypes | None = None
    scopes: Annotated[Scopes, Field(description="the most that it may ask for")] = []
    first_party: Annotated[bool, Field(description="people are not asked for their consent")] = False


class ClientPatch(TypedDict):
    """A merge patch (RFC 7396): a member left out stays; lists are replaced whole. Public stays public."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]  # pydantic's way to say it

    name: NotRequired[Name]
    authentication_method: NotRequired[SecretMethod]
    redirect_uris: NotRequired[RedirectUris]
    post_logout_redirect_uris: NotRequired[RedirectUris]
    grant_types: NotRequired[GrantTypes]
    scopes: NotRequired[Scopes]
    first_party: NotRequired[bool]


class ClientRead(BaseModel):
    """A client. Its secret is kept as a hash only."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    authentication_method: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    grant_types: list[str]
    scopes: list[str]
    first_party: bool
    created_at: datetime
    disabled_at: datetime | None


class ClientWithSecret(ClientRead):
    """A client and its secret, which is shown this once; null for a public client."""

    secret: str | None


class ClientList(BaseModel):
    """From where to list."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 20
    cursor: Annotated[Text | None, Field(max_length=ID_MAX, description="`next_cursor` of the page before")] = None


class ClientPage(BaseModel):
    """One page of a list, by id; `next_cursor` is null on the last."""

    items: list[ClientRead]
    next_cursor: str | None

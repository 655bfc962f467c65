"""What goes in and out: bodies, list parameters and answers, each closed, typed strictly and bounded."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic cannot see NotRequired in the one of Python 3.11

from services.common.schemas import Limit, Text
from services.items.currencies import CURRENCIES
from services.items.models import DESCRIPTION_MAX, NAME_MAX, PRICE_MAX, TAG_MAX, TAGS_MAX

CURSOR_MAX = 4096  # a signed cursor over the longest name is about half of it


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise PydanticCustomError("currency", "must be an ISO 4217 code in capitals, such as EUR")
    return code


def _distinct(tags: list[str]) -> list[str]:
    if len(set(tags)) < len(tags):
        raise PydanticCustomError("distinct", "must not name the same tag twice")
    return tags


Name = Annotated[Text, Field(min_length=1, max_length=NAME_MAX)]
Description = Annotated[Text, Field(max_length=DESCRIPTION_MAX)]
PriceMinor = Annotated[int, Field(ge=0, le=PRICE_MAX, description="in the currency's minor unit, such as cents")]
Currency = Annotated[str, AfterValidator(_known_currency), Field(examples=["EUR"])]
Tag = Annotated[Text, Field(min_length=1, max_length=TAG_MAX)]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX), AfterValidator(_distinct)]
Sort = Literal["created_at", "-created_at", "name", "-name", "price_minor", "-price_minor"]


class ItemWrite(BaseModel):
    """All that a client decides about an item: the body of a create and of a replace."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    description: Description = ""
    price_minor: PriceMinor
    currency: Currency
    tags: Tags = []


class ItemPatch(TypedDict):
    """A merge patch (RFC 7396): a member left out stays, null puts back the default where there is one."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]  # pydantic's way to say it

    name: NotRequired[Name]
    description: NotRequired[Description | None]
    price_minor: NotRequired[PriceMinor]
    currency: NotRequired[Currency]
    tags: NotRequired[Tags | None]


class ItemRead(BaseModel):
    """An item as clients and the cache see it; its entity tag is `version`."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    owner: str
    name: str
    description: str
    price_minor: int
    currency: str
    tags: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class ItemList(BaseModel):
    """Which items to list, in which order, from where."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 20
    sort: Sort = "-created_at"
    cursor: Annotated[Text | None, Field(max_length=CURSOR_MAX, description="`next_cursor` of the page before")] = None
    currency: Currency | None = None
    tag: Tag | None = None
    name_prefix: Name | None = None

    @model_validator(mode="after")
    def _prices_compare_within_a_currency(self) -> Self:
        if self.sort.endswith("price_minor") and self.currency is None:
            raise PydanticCustomError("sort_currency", "sorting by price_minor needs the parameter currency")
        return self


class ItemPage(BaseModel):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[ItemRead]
    next_cursor: str | None

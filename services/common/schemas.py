"""Field types that several services' bodies share."""

import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

# one spelling each: UUID() also reads {...}, urn:uuid:... and no hyphens, int() also 1_0, and pydantic 1.0
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # RFC 9562 4: either case is read
_DIGITS = re.compile("[0-9]{1,9}")


def _check_storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("Text must not hold the NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("Text must not hold half a surrogate pair") from None
    return value


# JSON can say both, UTF-8 and Postgres can hold neither. In an Annotated it stands last, after Field(max_length=20),
# so that a length is judged, and explained, as that of a string.
STORABLE = AfterValidator(_check_storable)
Text = Annotated[str, STORABLE]


def _hyphenated(text: Any) -> Any:
    if isinstance(text, str) and not _UUID.fullmatch(text):
        raise PydanticCustomError("uuid", "must be a UUID such as 0198c0de-0000-7000-8000-000000000000")
    return text


def _in_digits(text: Any) -> Any:
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise PydanticCustomError("digits", "must be a whole number in digits, such as 20")
    return text


# of paths and queries, where everything arrives as text
Id = Annotated[UUID, BeforeValidator(_hyphenated)]
Limit = Annotated[int, BeforeValidator(_in_digits), Field(ge=1, le=100)]

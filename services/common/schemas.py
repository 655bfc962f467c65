"""Field types that several services' bodies share."""

from typing import Annotated

from pydantic import AfterValidator


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

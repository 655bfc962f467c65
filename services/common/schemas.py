"""Field types that several services' bodies share."""

from typing import Annotated

from pydantic import AfterValidator


def _refuse_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold the NUL character")
    return value


# Postgres cannot store NUL in a text. Lone surrogates are refused by pydantic itself.
Text = Annotated[str, AfterValidator(_refuse_nul)]

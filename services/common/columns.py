"""Columns that tables of several services share."""

from typing import Any

from sqlalchemy import DateTime, func
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Field


def moment(*, now: bool | FunctionElement[Any] = False, nullable: bool = False) -> Any:
    """A point in time, UTC (`timestamptz`).

    With `now` the database fills it in: by the transaction's clock, or by the function that is given.
    """
    clock = func.now() if now is True else now
    options = {"server_default": clock} if clock is not False else {}
    return Field(default=None, nullable=nullable, sa_type=DateTime(timezone=True), sa_column_kwargs=options)

"""Bodies of the token path (RFC 6749, sections 5.1 and 5.2)."""

from typing import Literal

from pydantic import BaseModel


class TokenRead(BaseModel):
    """A token and its lifetime in seconds."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the name of a scheme, not a secret
    expires_in: int
    scope: str


class TokenError(BaseModel):
    """Why there is no token."""

    error: str
    error_description: str

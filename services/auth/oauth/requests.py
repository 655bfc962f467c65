"""What clients send, as Authlib wants to read it: parameters that came once each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
)
from starlette.requests import Request

FORM = "application/x-www-form-urlencoded"
MAX_PARAMETERS = 50

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request. Those without a value count as left out (RFC 6749 3.1)."""

    values: Mapping[str, str]
    repeated: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Parameters":
        """Take names and values in the order that they were sent; of a repeated name, the first."""
        values: dict[str, str] = {}
        repeated = set()
        for name, value in pairs:
            if name in values:
                repeated.add(name)
            elif value:
                values[name] = value
        return cls(values, frozenset(repeated))

    def get(self, name: str) -> str | None:
        """One value, or None."""
        return self.values.get(name)

    def words(self, name: str) -> list[str]:
        """The words of a value that is a list, each once, in their order."""
        return list(dict.fromkeys(self.values.get(name, "").split()))


class Payload(OAuth2Payload):  # type: ignore[misc]
    """The parameters under the names that Authlib asks for."""

    def __init__(self, parameters: Parameters) -> None:
        self._data = dict(parameters.values)

    @property
    def data(self) -> dict[str, str]:
        """Each parameter's value."""
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Likewise as lists; repeated parameters were refused before."""
        return defaultdict(list, {name: [value] for name, value in self._data.items()})


class OAuthRequest(OAuth2Request):  # type: ignore[misc]
    """One request at one of our endpoints."""

    # once tokens are made: the grant that they come from, when, and the access token's `jti`
    grant_row: Any
    issued_at: datetime
    token_id: UUID

    def __init__(self, method: str, parameters: Parameters, headers: Mapping[str, str]) -> None:
        # Authlib wants to see https, and looks at the address for nothing else; TLS ends before us
        super().__init__(method, "https://localhost", headers=headers)
        self.parameters = parameters
        self.payload = Payload(parameters)
        self.session_id: UUID | None = None  # the session that they belong to, while it lasts

    @property
    def args(self) -> dict[str, str]:
        """The same as `form`: which of the two was meant is decided before."""
        return dict(self.parameters.values)

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the body."""
        return dict(self.parameters.values)


async def read_form(request: Request) -> Parameters:
    """The parameters of a form in the body; the query is not looked at. Raises InvalidRequestError."""
    if not is_form(request.headers.get("content-type")):
        raise InvalidRequestError(f"The body must be {FORM}")
    parameters = Parameters.of(decode(await request.body()))
    if parameters.repeated:
        raise InvalidRequestError("A parameter is given more than once")
    if len(request.headers.getlist("authorization")) > 1:
        raise InvalidRequestError("The header Authorization is given more than once")
    return parameters


def is_form(media_type: str | None) -> bool:
    """Whether a Content-Type is that of a form, with whatever parameters."""
    return (media_type or "").partition(";")[0].strip().lower() == FORM


def decode(body: bytes) -> Pairs:
    """Names and values of a form or query (WHATWG URL 5.1), in UTF-8. Raises InvalidRequestError."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:  # UnicodeError is one
        raise InvalidRequestError("The parameters are not in the form that they say") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise InvalidRequestError("A parameter holds what cannot be stored")
    return pairs


def with_parameters(uri: str, parameters: Pairs) -> str:
    """Add to the query of an address, and leave the rest of it as it is (RFC 6749 3.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}" if parameters else uri

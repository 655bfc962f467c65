"""Authorization requests as they stand in an address: from the client, or in what a page goes on to."""

from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error  # type: ignore[import-untyped]

from services.auth.oauth.exceptions import OAuthPageError
from services.auth.oauth.requests import Parameters, decode, is_form

PATH = "/oauth2/authorize"
QUERY_MAX = 4096  # bytes of a form; as a query it must pass every proxy


def parameters_of(continue_to: str) -> Parameters:
    """The request that a `continue` stands for. Raises OAuthPageError for anything else."""
    path, _, query = continue_to.partition("?")
    if path != PATH:
        raise OAuthPageError("The page to go on to is not one of ours.")
    return read_query(query.encode("utf-8", "surrogatepass"))


def read_query(query: bytes) -> Parameters:
    """The parameters of an authorization request. Raises OAuthPageError when they cannot be read."""
    try:
        return Parameters.of(decode(query))
    except OAuth2Error:
        raise OAuthPageError("What the application has sent cannot be read.") from None


def posted_query(media_type: str | None, body: bytes) -> str:
    """The query that says the same as a form. Raises OAuthPageError for one that cannot be read, or is too long."""
    if not is_form(media_type) or len(body) > QUERY_MAX:
        raise OAuthPageError("What the application has sent cannot be read.")
    try:
        return urlencode(decode(body))
    except OAuth2Error:
        raise OAuthPageError("What the application has sent cannot be read.") from None

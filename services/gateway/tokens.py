"""Access tokens, checked before anything goes to a service, which checks them again by itself."""

from services.common.exceptions import UnauthenticatedError
from services.gateway.headers import Header

REFUSED_SECONDS = 5.0  # for which a refusal is remembered, so that a client's loop costs no signatures


def bearer_token(headers: list[Header]) -> str:
    """The one token of the Authorization header (RFC 6750 2.1). Raises UnauthenticatedError."""
    values = [value for name, value in headers if name == b"authorization"]
    scheme, _, token = (values[0] if values else b"").partition(b" ")
    if len(values) != 1 or scheme.lower() != b"bearer" or not token.strip():
        raise UnauthenticatedError("Send one header `Authorization: Bearer <access token>`")
    return token.strip().decode("latin-1")

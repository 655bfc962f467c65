"""Where a sign-in leads: to a client's authorization request, or to one's own account. Nowhere else."""

import re
from urllib.parse import urlsplit

from services.auth.oauth.authorization import PATH

ACCOUNT = "/account"
MOST = 2600  # characters; sealed and beside the rest they still fit into a cookie
LOCAL = re.compile(rf"{re.escape(PATH)}\?[!-\[\]-~]*")  # printable ASCII without the backslash
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def continued(wanted: str | None) -> str:
    """The page to go on to: what was asked for if it is one of ours, else the account."""
    is_request = wanted is not None and len(wanted) <= MOST and LOCAL.fullmatch(wanted)
    return wanted if wanted is not None and is_request else ACCOUNT


def is_too_long(wanted: str | None) -> bool:
    """Whether it would be lost on the way."""
    return wanted is not None and len(wanted) > MOST


def source(redirect_uri: str) -> str | None:
    """A redirect URI as a source of a Content-Security-Policy (CSP 3, 2.3.1); None: there is nothing to allow.

    Chromium holds `form-action` against each redirect that follows a form, the one back to the client too. An IPv6
    address cannot be written as a source; neither can what is no plain host, and nothing else gets into the header.
    """
    parts = urlsplit(redirect_uri)
    if not SCHEME.fullmatch(parts.scheme):
        return None
    if parts.scheme not in {"http", "https"} or not HOST.fullmatch(parts.hostname or ""):
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.hostname}" + ("" if parts.port is None else f":{parts.port}")

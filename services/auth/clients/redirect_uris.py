"""Which addresses people may be sent back to: compared to the last character (RFC 9700 2.1), so in one spelling."""

import re
from ipaddress import IPv4Address
from urllib.parse import SplitResult, parse_qsl, urlsplit

URI_MAX = 2000
LOOPBACK = ("127.0.0.1", "::1")
# what an answer adds to the address (RFC 6749 4.1.2, RFC 9207): twice there, it could be read in two ways
ANSWERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986 2, less # and *
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_DOTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")  # RFC 8252 7.1: a domain, the wrong way round


def check_redirect_uri(uri: str) -> str:
    """The address, when it may be registered. Raises ValueError with a sentence that says what would be right."""
    if "#" in uri:
        raise ValueError("must have no fragment: leave out # and what follows")
    if "*" in uri:
        raise ValueError("must be one whole address: there are no wildcards, so register each that is used")
    if len(uri) > URI_MAX or not _CHARACTERS.fullmatch(uri):
        raise ValueError(f"must be a URL of at most {URI_MAX} ASCII characters, all others percent-encoded")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:  # whose words may repeat what is wrong
        raise ValueError("must be a URL, such as https://app.example/callback") from None
    _check(uri, parts, port)
    return uri


def is_private_use(uri: str) -> bool:
    """Whether it leads to an app by a scheme of the app's own, which nobody else can be kept from taking."""
    return not uri.startswith(("https:", "http:"))


def _check(uri: str, parts: SplitResult, port: int | None) -> None:
    if "@" in parts.netloc:
        raise ValueError("must have no user or password before the host")
    if parts.scheme in {"https", "http"}:
        _check_host(uri, parts, port)
    elif not _PRIVATE_USE.fullmatch(parts.scheme):
        raise ValueError(
            "must begin with https://, for an app on one's own machine with http://127.0.0.1/ or http://[::1]/, "
            "or with a scheme of the app's own that has a dot, such as com.example.app:/callback"
        )
    elif not uri.startswith(f"{parts.scheme}:/") or parts.netloc or uri.startswith(f"{parts.scheme}://"):
        raise ValueError("must be in lower case with one slash after its scheme, such as com.example.app:/callback")
    if any(_DOTS.fullmatch(segment) for segment in parts.path.split("/")):
        raise ValueError("must have no . or .. in its path: browsers take them out")
    if named := ANSWERS & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        raise ValueError(f"must not hold the parameter {min(named)}, which the answer adds")


def _check_host(uri: str, parts: SplitResult, port: int | None) -> None:
    host = parts.hostname or ""
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError(
            "must begin with https://; http is for an app on one's own machine, as http://127.0.0.1/ or http://[::1]/ "
            "(localhost may lead elsewhere)"
        )
    written = f"[{host}]" if ":" in host else host
    if not uri.startswith(f"{parts.scheme}://{written}") or parts.netloc != written + (
        "" if port is None else f":{port}"
    ):
        raise ValueError("must have its scheme, host and port in their usual spelling: lower case, no empty port")
    if port == 0 or not (":" in host or (_HOST.fullmatch(host) and _is_one_spelling(host))):
        raise ValueError("must name a host, such as https://app.example/callback")


def _is_one_spelling(host: str) -> bool:
    """Browsers read 0x7f.1 and 2130706433 as addresses; an address has its four decimal numbers here."""
    if not host.rpartition(".")[2][0].isdigit():
        return True
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False

"""Which headers pass. Towards a service only those listed here, so that nobody outside can say who asks."""

import re
from collections.abc import Iterable

from starlette.types import Scope

Header = tuple[bytes, bytes]

# what concerns one connection only (RFC 9110 7.6.1), and what only old programs send
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# from a client to a service, by exact name: an underscore makes another one
PASSED = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"baggage",
        b"cache-control",
        b"content-digest",
        b"content-disposition",
        b"content-language",
        b"content-type",
        b"cookie",
        b"dpop",
        b"idempotency-key",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"last-event-id",
        b"origin",
        b"pragma",
        b"prefer",
        b"priority",
        b"range",
        b"referer",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"x-csrf-token",
        b"x-profile",
        b"x-requested-with",
    }
)
# where a token says who asks, a cookie has nothing to say: the session of auth is no other service's to see
COOKIE = frozenset({b"cookie"})
TRACEPARENT, TRACE = frozenset({b"traceparent"}), frozenset({b"traceparent", b"tracestate"})
# from a service to a client: the gateway says these itself
OURS = frozenset({b"date", b"server", b"x-request-id"})
NO_CONTENT = frozenset({204, 304})

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def connection_named(headers: Iterable[Header]) -> frozenset[bytes]:
    """The names that the Connection headers list: they are for one hop too."""
    values = [value for name, value in headers if name == b"connection"]
    return frozenset(option.strip().lower() for value in values for option in value.split(b","))


def upstream_headers(scope: Scope, *, host: bytes, timeout_seconds: float, public: bool) -> list[Header]:
    """What a service gets: what passes of the client's, cookies on public routes alone, and what the gateway knows.

    `X-Request-Timeout-Ms` is what is left, no time of day: the clocks of two machines differ.
    """
    headers: list[Header] = scope["headers"]
    dropped = connection_named(headers) | (frozenset() if public else COOKIE)
    state = scope["state"]
    if "traceparent" in state:  # of this process: it goes on from the client's, or begins anew
        dropped |= TRACE if state["trace_begins"] else TRACEPARENT
    passed = [(name, value) for name, value in headers if name in PASSED and name not in dropped]
    ours = [
        (b"host", host),
        (b"x-request-id", state["request_id"].encode()),
        (b"x-forwarded-proto", state["forwarded_proto"].encode()),
        (b"x-request-timeout-ms", b"%d" % round(timeout_seconds * 1000)),
    ]
    if "traceparent" in state:
        ours.append((b"traceparent", state["traceparent"]))
    if state["client_address"]:
        ours.append((b"x-forwarded-for", state["client_address"].encode()))
    return ours + passed


def downstream_headers(status: int, headers: list[Header]) -> list[Header]:
    """What a client gets: all that is not for one hop. A 204 or 304 has no content, so no length of it either."""
    dropped = HOP_BY_HOP | OURS | connection_named(headers)
    if status in NO_CONTENT:
        dropped |= {b"content-length"}
    return [(name, value) for name, value in headers if name not in dropped]


def are_sound(headers: Iterable[Header]) -> bool:
    """Whether these can be sent on as they are: parsers differ in what they let pass."""
    return not any(not TOKEN.fullmatch(name) or FORBIDDEN_IN_VALUES.search(value) for name, value in headers)

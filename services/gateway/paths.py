"""Paths that every program on the way reads alike; all others are refused before anybody acts on one reading."""

import re

from services.gateway.exceptions import AmbiguousPathError

# an encoded slash, backslash or NUL, raw or encoded controls, an empty segment
RAW = re.compile(rb"%2f|%5c|%[01][0-9a-f]|%7f|[\x00-\x20\x7f\\#?]|//", re.IGNORECASE)
BROKEN_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")
DOTS = frozenset({".", ".."})


def check_path(path: str, raw_path: bytes) -> None:
    """Refuse (400) what could be routed by one reading here and by another in the service.

    `path` is decoded once, as every service's own is, and routes are found by it: %69tems is items at both. A segment
    of dots is one in any spelling, also with parameters behind it (`..;x`).
    """
    if not raw_path.startswith(b"/"):
        raise AmbiguousPathError("The path must begin with a slash")
    if RAW.search(raw_path) or BROKEN_ESCAPE.search(raw_path):
        raise AmbiguousPathError("The path holds an empty segment, or an escaped slash, backslash or control character")
    if "." in path and any(segment.partition(";")[0] in DOTS for segment in path.split("/")):
        raise AmbiguousPathError("The path holds a segment of dots")
    if "\ufffd" in path:
        raise AmbiguousPathError("The path is not UTF-8")

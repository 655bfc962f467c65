"""Entity tags and the conditions that clients set on them (RFC 9110 sections 8.8.3 and 13.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from services.common.exceptions import BadRequestError

MAX_TAGS = 100
_OPAQUE = r'"([\x21\x23-\x7e\x80-\xff]*)"'
_ELEMENT = re.compile(rf"[ \t]*(?:(W/)?{_OPAQUE})?[ \t]*(?:,|\Z)")  # elements may be empty: section 5.6.1.2
_VERSION = re.compile(r"[1-9][0-9]{0,17}")  # what fits the table's bigint; no other tag was ever given out


def etag(version: int) -> str:
    """The strong entity tag of an item's version."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """The value of one conditional header: `*`, or the versions that its tags name."""

    anything: bool
    strong: frozenset[int]
    weak: frozenset[int]

    @classmethod
    def parse(cls, header: str, lines: Sequence[str]) -> Self:
        """Read a header's lines; raises BadRequestError, for a condition half understood guards nothing."""
        value = ", ".join(lines)
        if value.strip(" \t") == "*":
            return cls(anything=True, strong=frozenset(), weak=frozenset())
        strong: set[int] = set()
        weak: set[int] = set()
        count = position = 0
        while position < len(value):
            element = _ELEMENT.match(value, position)
            if element is None:
                raise BadRequestError(f'{header} must be * or a list of entity tags, such as "3", "4"')
            position = element.end()
            if (opaque := element[2]) is not None:
                count += 1
                if _VERSION.fullmatch(opaque):
                    (weak if element[1] else strong).add(int(opaque))
        if not 0 < count <= MAX_TAGS:
            raise BadRequestError(f"{header} must hold 1 to {MAX_TAGS} entity tags, this one holds {count}")
        return cls(anything=False, strong=frozenset(strong), weak=frozenset(weak))


@dataclass(frozen=True, slots=True)
class Preconditions:
    """If-Match and If-None-Match of one request, None where it has no such header."""

    if_match: Tags | None = None
    if_none_match: Tags | None = None

    @property
    def required(self) -> frozenset[int] | None:
        """The versions that If-Match accepts, by strong comparison (13.1.1); None: any."""
        return None if self.if_match is None or self.if_match.anything else self.if_match.strong

    @property
    def excluded(self) -> frozenset[int]:
        """The versions that If-None-Match names, by weak comparison (13.1.2)."""
        return frozenset() if self.if_none_match is None else self.if_none_match.strong | self.if_none_match.weak

    @property
    def excludes_all(self) -> bool:
        """Whether If-None-Match is `*`: false for each item that exists."""
        return self.if_none_match is not None and self.if_none_match.anything

    def demands(self, version: int) -> bool:
        """Whether If-Match is true of this version; when false the answer is 412."""
        return self.required is None or version in self.required

    def knows(self, version: int) -> bool:
        """Whether If-None-Match is false, the client has this version; a read then answers 304."""
        return self.excludes_all or version in self.excluded

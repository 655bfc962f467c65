"""`Idempotency-Key`: a request that is sent again with its key is done once and answered alike each time.

See draft-ietf-httpapi-idempotency-key-header. A key belongs to a subject by one client and lives for 24 hours. What is
kept are answers of requests that were done: one that was refused left nothing behind, and may be sent again, changed
or not, with the same key.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.common.security import Principal
from services.items.exceptions import BadIdempotencyKeyError

LIFETIME = timedelta(hours=24)
KEY = re.compile(r"[\x20-\x7e]{1,255}")
LOCK_BYTES = 8


@dataclass(frozen=True, slots=True)
class Once:
    """One key of one caller, and the body that came with it: SHA-256 of each, as they are kept."""

    id: bytes
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """A number for the lock that the running request holds; two keys share one by chance of 2^-64."""
        return int.from_bytes(self.id[:LOCK_BYTES], signed=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, byte for byte; `replayed` when it was made for an earlier request."""

    status: int
    headers: dict[str, str]
    body: bytes
    replayed: bool = False


def read_key(lines: Sequence[str], principal: Principal, body: bytes) -> Once:
    """Read the header's lines. Raises BadIdempotencyKeyError.

    The body counts byte by byte: what a version of this service makes of it must not decide whether it is the same.
    """
    if len(lines) != 1 or not KEY.fullmatch(lines[0]):
        raise BadIdempotencyKeyError
    # neither of the first two can hold a NUL, so no other three read the same
    scope = f"{principal.subject}\0{lines[0]}\0{principal.client_id}".encode("utf-8", "surrogatepass")
    return Once(hashlib.sha256(scope).digest(), hashlib.sha256(body).digest())

"""Signed cursors: where a list goes on, readable by nobody's guess and valid for the same list only."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from services.items.exceptions import BadCursorError

_FORMAT = b"slipway items cursor 1\n"  # a change of the payload's shape changes this, and old cursors are refused
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its value in the order of the list, and its id, which breaks ties."""

    value: datetime | str | int
    id: UUID


class CursorSigner:
    """Writes and reads cursors with HMAC-SHA256 (RFC 2104) under one key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def sign(self, position: Position, listing: bytes) -> str:
        """Name a position in a listing; `listing` says whose items, which filters and which order."""
        payload = orjson.dumps([position.value, str(position.id)])
        return _encode(self._mac(payload, listing) + payload)

    def read(self, cursor: str, listing: bytes) -> Position:
        """Return the position that `sign` named for the same listing; raises BadCursorError for all else."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadCursorError from None
        # a last character has bits that decoding drops: only the one spelling that `sign` writes is a cursor
        if _encode(raw) != cursor:
            raise BadCursorError
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, listing)):
            raise BadCursorError
        value, id_ = orjson.loads(payload)
        return Position(value, UUID(id_))

    def _mac(self, payload: bytes, listing: bytes) -> bytes:
        # the payload's own length separates it from the listing: no pair of them reads as another pair
        message = b"%s%d\n%s%s" % (_FORMAT, len(payload), payload, listing)
        return hmac.digest(self._key, message, hashlib.sha256)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

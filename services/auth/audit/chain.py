"""The chain: each entry's hash is keyed and covers the one before, so that no change goes unseen.

Only who has AUDIT_KEY can write it. Entries are added without it, by whoever makes the event true, and sealed seconds
later by one process at a time: no lock stands in the way of a sign-in.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth.audit.models import AuditCheckpoint, AuditEntry
from services.auth.settings import AuditSettings

GENESIS = bytes(32)  # what the first entry takes for the hash before it
CONTENT = (
    "id",
    "at",
    "event",
    "actor",
    "subject",
    "client_id",
    "session_id",
    "address",
    "user_agent",
    "request_id",
    "details",
)


@dataclass(frozen=True, slots=True)
class Head:
    """An entry's place in the chain and its hash: enough to notice whatever changes up to it."""

    sequence: int = 0
    hash: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.hash.hex()}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold, and how."""

    sequence: int
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.sequence}: {self.what}"


class Chain:
    """Computes hashes under the key that AUDIT_KEY gives."""

    def __init__(self, settings: AuditSettings) -> None:
        secret = settings.audit_key.get_secret_value().encode()
        self._key = HKDF(SHA256(), 32, salt=None, info=b"slipway audit chain 1").derive(secret)

    def hash(self, previous: bytes, entry: AuditEntry) -> bytes:
        """HMAC-SHA256 of the hash before and of all that the entry says. Its place is said by the hash before."""
        return self._mac(b"entry", previous + canonical(entry))

    def checkpoint(self, head: Head) -> AuditCheckpoint:
        """Say that the entries up to this one were removed by us."""
        return AuditCheckpoint(sequence=head.sequence, hash=head.hash, mac=self._checkpoint_mac(head))

    def is_genuine(self, checkpoint: AuditCheckpoint) -> bool:
        """Whether who wrote it had the key."""
        mac = self._checkpoint_mac(Head(checkpoint.sequence, checkpoint.hash))
        return hmac.compare_digest(mac, checkpoint.mac)

    def walk(self, head: Head) -> "Walk":
        """Follow the chain from behind this head."""
        return Walk(self, head)

    def _checkpoint_mac(self, head: Head) -> bytes:
        return self._mac(b"checkpoint", head.sequence.to_bytes(8, "big") + head.hash)

    def _mac(self, purpose: bytes, message: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + message, hashlib.sha256)


class Walk:
    """Follows the chain entry by entry, in the order of their sequence; holds one entry and no more."""

    def __init__(self, chain: Chain, head: Head) -> None:
        self._chain = chain
        self._held: AuditEntry | None = None
        self.head = head
        self.count = 0

    def follow(self, entry: AuditEntry) -> Break | None:
        """Take the next entry; the first break, if this is it."""
        if self._held is not None:
            return self._changed_or_inserted(self._held, entry)
        sequence, expected = entry.sequence or 0, self.head.sequence + 1
        if sequence > expected:
            missing = f"{expected}" if sequence == expected + 1 else f"{expected} to {sequence - 1}"
            return Break(expected, "removed", f"entry {missing} is missing")
        if sequence < expected:
            return Break(sequence, "inserted", "it stands where entries were removed long ago")
        if self._chain.hash(entry.previous_hash or b"", entry) != entry.hash:
            self._held = entry  # the next one knows which of the two it is
            return None
        if entry.previous_hash != self.head.hash:
            what = f"row {entry.id} was not sealed behind entry {self.head.sequence}: rows were moved, or renumbered"
            return Break(sequence, "reordered", what)
        self.head = Head(sequence, entry.hash or b"")
        self.count += 1
        return None

    def end(self) -> Break | None:
        """The break that the last entry is, if it is one."""
        return self._changed_or_inserted(self._held, None) if self._held is not None else None

    def _changed_or_inserted(self, held: AuditEntry, following: AuditEntry | None) -> Break:
        sequence = held.sequence or 0
        if following is not None and following.previous_hash == self.head.hash:
            return Break(sequence, "inserted", f"row {held.id} was not written by auth; the chain goes on around it")
        return Break(sequence, "changed", f"row {held.id} is not what was sealed")


def sealed(chain: Chain, head: Head, entries: list[AuditEntry]) -> Iterator[tuple[int, Head, bytes]]:
    """The place and hash of each entry behind this head: its row, the head that it becomes, the hash before."""
    for entry in entries:
        previous = head.hash
        head = Head(head.sequence + 1, chain.hash(previous, entry))
        yield entry.id or 0, head, previous


def canonical(entry: AuditEntry) -> bytes:
    """All that it says, as the one JSON text that says it: members in order, no spaces, UTF-8."""
    content = {name: getattr(entry, name) for name in CONTENT}
    content["at"] = entry.at.isoformat(timespec="microseconds")
    content["session_id"] = None if entry.session_id is None else str(entry.session_id)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

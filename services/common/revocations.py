"""What was revoked, as every process that checks tokens knows it: told by auth through `state`.

The truth is in auth's database. auth adds each revocation to a stream in `state`; each process keeps the live ones in
memory, hears of new ones at once (XREAD on a connection of its own), and reads the whole stream again every five
seconds: that heals what a flush, a restart, a failover to another clock or a lost connection made it miss.

While `state` is away, what is known stays in force and requests are answered; what is revoked meanwhile is refused
within five seconds of its return. A token that nobody could be told about lives for at most its own lifetime.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Kind = Literal["user", "client", "session", "grant", "token"]
KINDS: tuple[Kind, ...] = get_args(Kind)

STREAM = "auth:revocations"
MAX_TOKEN_SECONDS = 3600  # no access token lives longer, so no revocation need be remembered longer
LIFE_SECONDS = MAX_TOKEN_SECONDS + 60  # and what clocks may differ by
START_SECONDS = 30.0  # a process that has heard nothing yet is not ready for so long, then it serves without
MAX_ENTRIES = 100_000
MAX_TARGET = 255  # characters
LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)  # seconds

log = structlog.get_logger()


class Revocation(NamedTuple):
    """One entry: tokens of the target issued until `at` (Unix, ms). Forgotten at `until` (Unix, s)."""

    kind: Kind
    target: str
    at: int
    until: int


class Entry(NamedTuple):
    """What is kept of it."""

    at: int
    until: int


NEVER = Entry(-1, 0)


class Presented(NamedTuple):
    """What a token says that can have been revoked; `issued_ms` is Unix time."""

    subject: str
    client_id: str
    session_id: str | None
    grant_id: str | None
    token_id: str | None
    issued_ms: int


class Metrics:
    """What was heard, and when."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self.known = Gauge("revocations_known", "Revocations in force in this process", registry=registry)
        self.silence = Gauge(
            "revocations_silence_seconds",
            "Time since `state` was last heard; above 5, new revocations may be unknown here",
            registry=registry,
        )
        self.applied = Counter("revocations_applied_total", "Revocations that were new here", registry=registry)
        self.refused = Counter("revocations_refused_total", "Requests whose token was revoked", registry=registry)
        self.lag = Histogram(
            "revocation_lag_seconds",
            "From when something was revoked until it was refused here; not of those that were there at the start",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.unreadable = Gauge(
            "revocations_unreadable",
            "Entries in `state` that are no revocation, at the last reading",
            registry=registry,
        )


class Revocations:
    """The live revocations. Asking costs a few dictionary lookups and never waits."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep at most so many one by one."""
        self._known: dict[Kind, dict[str | None, Entry]] = {kind: {} for kind in KINDS}
        self._max_entries = max_entries
        self._clock = clock
        self._crowd = NEVER  # stands for all that came beyond the bound
        self._started_at = self._heard_at = time.monotonic()
        self._loaded = False
        self.metrics = Metrics(registry)
        self.metrics.known.set_function(self.__len__)
        self.metrics.silence.set_function(lambda: time.monotonic() - self._heard_at)

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def refuses(self, token: Presented) -> bool:
        """Whether the token was revoked.

        With a user or client: when it was issued until then, in the very same millisecond too. A client is meant also
        as the subject of its own tokens.
        """
        known, issued = self._known, token.issued_ms
        refused = (
            issued <= known["user"].get(token.subject, NEVER).at
            or issued <= known["client"].get(token.client_id, NEVER).at
            or issued <= known["client"].get(token.subject, NEVER).at
            or token.session_id in known["session"]
            or token.grant_id in known["grant"]
            or token.token_id in known["token"]
            or issued <= self._crowd.at
        )
        if refused:
            self.metrics.refused.inc()
        return refused

    def apply(self, revocation: Revocation) -> None:
        """Have it in force from now on; the later of two of the same target counts.

        Beyond the bound single ones are not kept: instead every token issued until the last of them is refused,
        whoever's it is, and its holder asks for another. Memory is bounded and nobody revoked gets through.
        """
        kind, target, at, until = revocation
        until = min(until, int(self._clock()) + LIFE_SECONDS)
        before = self._known[kind].get(target, NEVER)
        if until <= self._clock() or at <= before.at:
            return
        if before is NEVER and len(self) >= self._max_entries:
            self._crowd_out(at, until)
            return
        self._known[kind][target] = Entry(at, max(until, before.until))
        self.metrics.applied.inc()
        if self._loaded:
            self.metrics.lag.observe(max(0.0, self._clock() - at / 1000))

    def _crowd_out(self, at: int, until: int) -> None:
        if self._crowd is NEVER:
            log.error("revocations_crowded", kept=self._max_entries)
        self._crowd = Entry(max(at, self._crowd.at), max(until, self._crowd.until))

    def forget_old(self) -> None:
        """Drop those whose tokens have all ended by themselves."""
        now = self._clock()
        for kind, kept in self._known.items():
            self._known[kind] = {target: entry for target, entry in kept.items() if entry.until > now}
        if self._crowd.until <= now:
            self._crowd = NEVER

    def heard(self, *, everything: bool = False) -> None:
        """Note that `state` has answered; `everything`: with the whole stream."""
        self._heard_at = time.monotonic()
        self._loaded = self._loaded or everything

    async def ready(self) -> None:
        """Raise while nothing was heard yet, for the first half a minute; a readiness check."""
        if not self._loaded and time.monotonic() - self._started_at < START_SECONDS:
            raise LookupError("the revocations in `state` have not been read yet")


def fields(revocation: Revocation) -> dict[str, str]:
    """An entry of the stream."""
    return {name: str(value) for name, value in revocation._asdict().items()}


def parse(entry: Mapping[bytes, bytes] | None) -> Revocation | None:
    """Read an entry of the stream; None when somebody else's hand wrote it."""
    try:
        kind, target, at, until = ((entry or {})[name].decode() for name in (b"kind", b"target", b"at", b"until"))
        revocation = Revocation(_kind(kind), target, int(at), int(until))
    except (KeyError, ValueError):
        return None
    return revocation if 0 < len(target) <= MAX_TARGET and revocation.at >= 0 else None


def _kind(word: Any) -> Kind:
    if word not in KINDS:
        raise ValueError("no kind of revocation")
    return word  # type: ignore[no-any-return]  # mypy does not narrow by a tuple

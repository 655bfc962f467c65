"""Is the process alive, is it ready: a heartbeat and a snapshot, written every second by a task on the loop."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from services.common.tasks import running

Check = Callable[[], Awaitable[object]]

INTERVAL_SECONDS = 1.0
CHECK_TIMEOUT_SECONDS = 1.0
STALE_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Snapshot:
    """Whether requests should be sent here, and what the last round of checks found: "ok" or the reason why not."""

    ready: bool = False
    checks: Mapping[str, str] = field(default_factory=dict)
    taken_at: float = float("inf")


class Health:
    """Written on the application's loop, read by the threads of the management port."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the heartbeat's clock now, so that a start that hangs is noticed too."""
        self._clock = clock
        self._beat_at = clock()
        self._snapshot = Snapshot(checks={"startup": "not finished"})
        self._checks: Mapping[str, Check] = {}
        self._started = False  # every check has passed in one and the same round
        self.lag_seconds = 0.0
        self.listening = True  # a `Server` says that it does not yet
        self.draining = False
        self.start_refused = False

    @property
    def checks(self) -> Mapping[str, str]:
        """What the last round of checks found: name to "ok" or the reason why not."""
        return self._snapshot.checks

    @property
    def silent_seconds(self) -> float:
        """For how long the loop has not turned."""
        return self._clock() - self._beat_at

    def readiness(self) -> Snapshot:
        """Whether requests should be sent here: it listens, the start is finished, no drain has begun, the loop turns.

        The checks count until all have passed at once. What all pods share (Postgres, the keys of auth) would take all
        of them out together when it goes away, and clients would get the edge's error instead of our stated one.
        """
        if self.draining:
            return Snapshot(ready=False, checks={"draining": "shutting down"})
        if not self.listening:
            return Snapshot(ready=False, checks={"server": "does not listen yet"})
        if self.silent_seconds > STALE_SECONDS:
            return Snapshot(ready=False, checks={"loop": f"has not turned for {self.silent_seconds:.0f} s"})
        age = self._clock() - self._snapshot.taken_at
        if age > STALE_SECONDS:
            return Snapshot(ready=False, checks={"checks": f"have not run for {age:.0f} s"})
        return self._snapshot

    @asynccontextmanager
    async def beating(self) -> AsyncGenerator[None]:
        """Beat for as long as the block lasts."""
        async with running(self._beat, "heartbeat"):
            yield

    @asynccontextmanager
    async def checking(self, checks: Mapping[str, Check]) -> AsyncGenerator[None]:
        """Run the checks every second for as long as the block lasts."""
        self._checks = checks
        try:
            async with running(self._check, "readiness"):
                yield
        finally:
            self._snapshot = Snapshot(checks={"shutdown": "resources are closed"})

    async def _beat(self) -> None:
        while True:
            self._beat_at = self._clock()
            await asyncio.sleep(INTERVAL_SECONDS)
            self.lag_seconds = max(0.0, self._clock() - self._beat_at - INTERVAL_SECONDS)

    async def _check(self) -> None:
        while True:
            await self.check_now()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def check_now(self) -> None:
        """One round: all checks at once, each with its own timeout."""
        results = await asyncio.gather(*(_outcome(check) for check in self._checks.values()))
        found = dict(zip(self._checks, results, strict=True))
        self._started = self._started or all(result == "ok" for result in results)
        self._tell(found)
        self._snapshot = Snapshot(ready=self._started, checks=found, taken_at=self._clock())

    def _tell(self, found: Mapping[str, str]) -> None:
        before = self._snapshot
        for name, result in found.items():
            was = before.checks.get(name)
            if result == "ok" and was not in {None, "ok"}:
                log.info("check_recovered", check=name)
            elif result not in {"ok", was}:
                log.warning("check_failed", check=name, reason=result)
        if self._started != before.ready:
            log.info("readiness_changed", ready=self._started)


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its finding
        return f"{type(error).__name__}: {error}"[:200]
    return "ok"

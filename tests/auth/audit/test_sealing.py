"""Every committed entry gets into the chain exactly once, whoever seals, whoever writes meanwhile."""

import asyncio
import random

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.auth.audit import sealing
from services.auth.audit.events import Event
from services.auth.audit.record import record
from services.auth.audit.sealing import ChainSealer, open_sealing
from services.common.postgres import open_postgres, session_maker
from tests.auth.audit.conftest import ORIGIN, AuditLog
from tests.support.clock import Clock
from tests.support.waits import until

WRITERS, EACH = 8, 40


async def test_beside_writers_two_sealers_put_every_committed_entry_into_the_chain_once(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.auth.audit.service.BATCH", 7)  # many short batches
    monkeypatch.setattr(sealing, "BATCH", 7)
    committed: list[str] = []
    ended = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(EACH):
            async with log.sessions() as session:
                name = f"{writer}/{number}"
                record(session, Event.SIGN_IN_SUCCEEDED, ORIGIN, subject=name)
                await session.flush()  # it has its id, and others overtake it
                await asyncio.sleep(random.uniform(0, 0.02))
                if random.random() < 0.2:
                    await session.rollback()
                else:
                    await session.commit()
                    committed.append(name)

    async def seal(sealer: ChainSealer) -> None:
        while not ended.is_set():
            await sealer.seal()
            await asyncio.sleep(0)

    async with open_postgres(log.settings, CollectorRegistry()) as other:
        sealers = [ChainSealer(log.settings, maker) for maker in (log.sessions, session_maker(other))]
        sealing_tasks = [asyncio.create_task(seal(sealer)) for sealer in sealers]
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        ended.set()
        await asyncio.gather(*sealing_tasks)
        await log.seal()

    rows = log.rows()
    assert sorted(row["subject"] for row in rows) == sorted(committed)
    assert sorted(row["sequence"] for row in rows) == list(range(1, len(committed) + 1))
    verdict = await log.verify()
    assert (verdict.broken, verdict.entries, verdict.unsealed) == (None, len(committed), 0)


async def test_all_that_waits_is_sealed_at_once_batch_by_batch(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.auth.audit.service.BATCH", 3)
    monkeypatch.setattr(sealing, "BATCH", 3)
    await log.write(7)

    assert await log.seal() == 7
    assert (await log.verify()).unsealed == 0


async def test_an_entry_whose_transaction_ends_late_is_sealed_behind_those_that_overtook_it(log: AuditLog) -> None:
    async with log.sessions() as session:
        record(session, Event.SIGN_IN_SUCCEEDED, ORIGIN, subject="late")
        await session.flush()
        await log.write(2)
        assert await log.seal() == 2
        await session.commit()
    assert await log.seal() == 1

    assert [(row["subject"], row["sequence"]) for row in log.rows()] == [("late", 3), ("s0", 1), ("s1", 2)]
    assert (await log.verify()).broken is None


async def test_a_running_process_seals_by_itself_and_tells_the_head_in_its_log(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "INTERVAL_SECONDS", 0.05)
    registry = CollectorRegistry()
    await log.write(3)

    with structlog.testing.capture_logs() as lines:
        async with open_sealing(log.settings, log.sessions, registry):
            await until(lambda: registry.get_sample_value("auth_audit_last_sequence") == 3, "the sealing")

    assert registry.get_sample_value("auth_audit_unsealed_entries") == 0
    [line] = [line for line in lines if line["event"] == "audit_sealed"]
    assert line["head"] == str((await log.verify()).head)


async def test_the_head_is_told_at_once_and_then_after_so_many_entries_or_a_minute(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "TELL_ENTRIES", 5)
    clock = Clock()
    sealer = ChainSealer(log.settings, log.sessions, clock=clock)

    async def told(count: int) -> list[int]:
        await log.write(count)
        with structlog.testing.capture_logs() as lines:
            assert await sealer.seal() == count
        return [line["sequence"] for line in lines if line["event"] == "audit_sealed"]

    assert [await told(count) for count in (1, 1, 4, 1)] == [[1], [], [6], []]
    clock.now += sealing.TELL_SECONDS
    assert await told(1) == [8]


async def test_whatever_goes_wrong_once_sealing_goes_on(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "INTERVAL_SECONDS", 0.05)
    registry = CollectorRegistry()
    async with open_sealing(log.settings, log.sessions, registry) as sealer:
        true_seal, calls = sealer.seal, 0

        async def seal() -> int:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise RuntimeError("what nobody thought of")
            return await true_seal()

        monkeypatch.setattr(sealer, "seal", seal)
        await log.write()
        await until(lambda: registry.get_sample_value("auth_audit_last_sequence") == 1, "the sealing")

"""What every serving process tells of the last run of `clean`."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.auth.retention import gauges
from services.auth.retention.gauges import MaintenanceGauges, open_maintenance_gauges
from services.auth.retention.repository import RetentionRepository
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker
from tests.auth.retention.conftest import LONG_AGO, Rows, clean
from tests.support.clock import Clock
from tests.support.databases import execute
from tests.support.waits import until


async def test_gauges_tell_when_it_last_finished_and_what_it_removed(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker
) -> None:
    registry, clock = CollectorRegistry(), Clock()
    told = MaintenanceGauges(sessions, registry, clock)
    await told.refresh()
    assert registry.get_sample_value("auth_clean_age_seconds") is None

    rows.mailed("long ago", LONG_AGO)
    await clean(settings, sessions)
    await clean(settings, sessions)
    for name in ("long ago", "as long ago"):
        rows.mailed(name, LONG_AGO)
    await clean(settings, sessions)
    execute(rows.url, "UPDATE maintenance SET finished_at = finished_at - interval '1 hour'")
    await told.refresh()
    clock.now += 60

    assert registry.get_sample_value("auth_clean_age_seconds") == pytest.approx(3660, abs=30)
    assert registry.get_sample_value("auth_clean_removed_rows", {"table": "mailed_codes"}) == 2
    assert registry.get_sample_value("auth_clean_removed_rows", {"table": "sessions"}) == 0


async def test_a_running_process_hears_of_a_run_by_itself_whatever_went_wrong_before(
    rows: Rows, settings: CommandSettings, sessions: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "READ_SECONDS", 0.05)
    registry = CollectorRegistry()
    true_noted, calls = RetentionRepository.noted, 0

    async def noted(self: RetentionRepository, task: str) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("what nobody thought of")
        return await true_noted(self, task)

    monkeypatch.setattr(RetentionRepository, "noted", noted)
    async with open_maintenance_gauges(sessions, registry):
        await clean(settings, sessions)
        await until(lambda: registry.get_sample_value("auth_clean_age_seconds") is not None, "the gauge")
    assert rows.count("maintenance") == 1

"""How many answers are kept for an Idempotency-Key."""

import uuid

from prometheus_client import CollectorRegistry

from services.common.polled import polled
from services.common.postgres import open_postgres
from services.items.backlog import backlog
from tests.items.conftest import GOOD, Caller, MakeSettings
from tests.support.databases import execute
from tests.support.waits import until


async def test_answers_that_are_kept_are_told(alice: Caller, make_settings: MakeSettings, migrated_url: str) -> None:
    for _ in range(3):
        await alice.ask("POST", json=GOOD, headers={"Idempotency-Key": uuid.uuid4().hex})
    execute(migrated_url, "ANALYZE kept_answers")
    registry = CollectorRegistry()
    async with open_postgres(make_settings(), CollectorRegistry()) as engine:

        async def ask() -> object:
            return await backlog(engine)

        async with polled(ask, registry):  # type: ignore[arg-type]
            await until(lambda: registry.get_sample_value("items_idempotency_keys") == 3, "the number")

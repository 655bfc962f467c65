"""How much lies in the database, and how long what has ended waits."""

from collections.abc import Callable

import pytest
from prometheus_client import Metric

from services.auth.retention.backlog import TABLES, backlog
from services.common.postgres import SessionMaker
from tests.auth.retention.conftest import LONG_AGO, NOT_YET, Rows
from tests.support.databases import execute

EXPIRING = ("authorization_codes", "mailed_codes", "grants", "sessions")


async def found(sessions: SessionMaker) -> dict[str, float]:
    families: list[Metric] = list(await backlog(sessions))
    return {sample.labels.get("table", sample.name): sample.value for f in families for sample in f.samples}


async def test_rows_of_each_table_are_told_by_the_servers_estimate(rows: Rows, sessions: SessionMaker) -> None:
    for number in range(20):
        rows.mailed(str(number), NOT_YET)
    rows.audit(3, 0)
    execute(rows.url, "ANALYZE")

    told = await found(sessions)

    assert told.keys() >= {*TABLES, "audit_waiting"}
    assert told["mailed_codes"] == 20
    assert told["audit_waiting"] == 3


@pytest.mark.parametrize("table", EXPIRING)
async def test_the_oldest_row_that_has_expired_says_how_far_behind_cleaning_is(
    rows: Rows, sessions: SessionMaker, table: str
) -> None:
    live = rows.session("live")
    assert (await found(sessions))["auth_oldest_expired_seconds"] == 0

    add: dict[str, Callable[[], object]] = {
        "authorization_codes": lambda: rows.code("long ago", live, LONG_AGO),
        "mailed_codes": lambda: rows.mailed("long ago", LONG_AGO),
        "grants": lambda: rows.grant("long ago", expires=LONG_AGO),
        "sessions": lambda: rows.session("long ago", expires=LONG_AGO),
    }
    add[table]()

    assert (await found(sessions))["auth_oldest_expired_seconds"] == pytest.approx(31 * 86_400, abs=60)

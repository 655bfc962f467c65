"""How much lies in the database of auth, and how long what has ended waits to be removed."""

from collections.abc import Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.auth.audit.repository import AuditRepository
from services.auth.retention.repository import ENDED, RetentionRepository
from services.common.postgres import SessionMaker, estimated_rows, open_session

TABLES = (*ENDED, "users", "clients", "audit_entries")


async def backlog(sessions: SessionMaker) -> Sequence[Metric]:
    """Ask the database. Raises UnavailableError and what the driver raises."""
    estimated = await estimated_rows(sessions.kw["bind"])
    async with open_session(sessions) as session:
        waiting = await AuditRepository(session).count_unsealed()
        oldest = await RetentionRepository(session).oldest_ended_seconds()
    rows = GaugeMetricFamily("auth_rows", "Rows by table, as the server estimates them", labels=["table"])
    for table in TABLES:
        rows.add_metric([table], estimated.get(table, 0))
    rows.add_metric(["audit_waiting"], waiting)
    help_text = "How long ago the oldest row expired that is still there; `clean` removes it after its retention"
    return [rows, GaugeMetricFamily("auth_oldest_expired_seconds", help_text, value=oldest)]

"""How much lies in the database that is forgotten in time."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.common.postgres import estimated_rows
from services.items.models import KeptAnswer


async def backlog(engine: Any) -> Sequence[Metric]:
    """Answers that are kept for an Idempotency-Key. Raises what the driver raises."""
    kept = (await estimated_rows(engine)).get(KeptAnswer.__tablename__, 0)
    help_text = "Answers that are kept for a day, in case their request is sent again"
    return [GaugeMetricFamily("items_idempotency_keys", help_text, value=kept)]

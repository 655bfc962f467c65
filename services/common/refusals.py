"""What is refused before it becomes a request: counted, and told in a line of its own."""

import structlog
from prometheus_client import CollectorRegistry, Counter

log = structlog.get_logger()


class Refusals:
    """Told of each refusal by the protocol. Scanners cause them, so they are no news above INFO."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Count in this registry."""
        self._counted = Counter(
            "http_requests_refused_total", "What never became a request, by the answer", ["status"], registry=registry
        )

    def refused(self, status: int, client: tuple[str, int] | None) -> None:
        """Note one refusal; `client` is the peer of the connection."""
        self._counted.labels(str(int(status))).inc()
        log.info("request_refused", status=int(status), client_address=client[0] if client else None)

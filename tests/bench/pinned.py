"""`python -m tests.bench.pinned CORE on|off MODULE …`: a service on one core, with its telemetry or without.

Off there is no layer that counts, no line of a finished request and, without OTEL_*, no trace; the rest is the same.
"""

import os
import runpy
import sys
from unittest.mock import patch

from starlette.types import ASGIApp

from services.common import app
from services.common.access_log import AccessLog
from services.common.metrics import HttpMetrics


def _bare(app: ASGIApp, *, meter: HttpMetrics) -> ASGIApp:  # noqa: ARG001 - in the place of CountRequests
    return app


def _never(*_: object) -> bool:
    return False


def main() -> None:
    """Pin, switch off what is to be off, and become the service."""
    core, telemetry, module, *arguments = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})  # as taskset does it; before any thread is made
    if telemetry == "off":
        patch.object(app, "CountRequests", _bare).start()
        patch.object(AccessLog, "wants", _never).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()

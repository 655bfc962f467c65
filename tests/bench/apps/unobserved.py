"""`python -m tests.bench.apps.unobserved serve`: the service that MODULE names, nothing counted and nothing logged.

No layer that counts, no line of a finished request and, without OTEL_*, no trace; the rest is the same.
"""

import os
import runpy
import sys
from unittest.mock import patch

from starlette.types import ASGIApp

from services.common import app
from services.common.access_log import AccessLog
from services.common.metrics import HttpMetrics


def _uncounted(app: ASGIApp, *, meter: HttpMetrics) -> ASGIApp:  # noqa: ARG001 - in the place of CountRequests
    return app


def _never(*_: object) -> bool:
    return False


def switch_off() -> None:
    """Take the layers out; an AttributeError when the services have them no more under these names."""
    patch.object(app, "CountRequests", _uncounted).start()
    patch.object(AccessLog, "wants", _never).start()


if __name__ == "__main__":
    switch_off()
    module = os.environ.pop("MODULE")
    sys.argv[0] = module
    runpy.run_module(module, run_name="__main__")

"""What the measured applications change in the services is still there under its name."""

from unittest.mock import patch

from services.common import app
from services.common.access_log import AccessLog
from services.items import main
from services.items.cache import ItemCache
from tests.bench.apps import unobserved


def test_telemetry_can_be_switched_off() -> None:
    counted, wants = vars(app)["CountRequests"], AccessLog.wants
    try:
        unobserved.switch_off()

        assert vars(app)["CountRequests"] is not counted
        assert AccessLog.wants is not wants
    finally:
        patch.stopall()


def test_another_cache_can_stand_in_the_place_of_items_own() -> None:
    assert vars(main)["ItemCache"] is ItemCache

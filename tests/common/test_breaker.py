"""What failed is left alone for a while."""

import pytest

from services.common.breaker import Breaker


def test_after_a_pause_one_goes_ahead_and_the_others_wait_for_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("services.common.breaker.time.monotonic", lambda: now)
    breaker = Breaker(1)

    breaker.failed()
    assert not breaker.permits()
    now = 101.0
    assert [breaker.permits(), breaker.permits()] == [True, False]
    breaker.succeeded()
    assert [breaker.permits(), breaker.permits()] == [True, True]

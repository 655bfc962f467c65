"""What a process has run is what it says itself."""

import os
import time

import pytest

from tests.bench.usage import ran_seconds


def test_run_time_is_told_of_all_threads_as_the_process_itself_tells_it() -> None:
    before, own = ran_seconds([os.getpid()]), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    after, own = ran_seconds([os.getpid()]), time.process_time() - own

    assert after - before == pytest.approx(own, rel=0.2)


def test_a_process_that_ended_has_run_nothing() -> None:
    assert ran_seconds([2**30]) == 0

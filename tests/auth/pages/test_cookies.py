"""What a browser keeps between two pages, and cannot read or change."""

import base64
import time

import pytest
from starlette.responses import Response

from services.auth.pages.continuing import MOST
from services.auth.pages.cookies import (
    LIFETIME_SECONDS,
    MOST_BYTES,
    STEP,
    Purpose,
    Steps,
    clear_step,
    set_binding,
    set_step,
)
from services.auth.users.models import EMAIL_MAX

KEY = "k" * 64
VALUES = {"user": "0198", "goal": "/account", "name": "Ada é"}


@pytest.fixture
def steps() -> Steps:
    return Steps(KEY)


def test_what_is_remembered_is_found_for_its_own_purpose_alone(steps: Steps) -> None:
    sealed = steps.seal(Purpose.SIGN_IN, VALUES)

    assert steps.open(Purpose.SIGN_IN, sealed) == VALUES
    assert steps.open(Purpose.SECOND_FACTOR, sealed) is None
    assert Steps("l" * 64).open(Purpose.SIGN_IN, sealed) is None
    assert steps.open(Purpose.SIGN_IN, None) is None


def test_nothing_of_it_can_be_read(steps: Steps) -> None:
    sealed = base64.urlsafe_b64decode(steps.seal(Purpose.SIGN_IN, VALUES) + "==")

    assert not any(value.encode() in sealed for value in ["/account", "user", "until"])


def test_no_bit_of_it_can_be_changed(steps: Steps) -> None:
    sealed = steps.seal(Purpose.SECOND_FACTOR, VALUES)
    raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert steps.open(Purpose.SECOND_FACTOR, base64.urlsafe_b64encode(changed).decode()) is None


@pytest.mark.parametrize("value", ["", "a", "é", "A" * 16, "A" * 100, "\ud800"])
def test_what_was_never_sealed_is_nothing(steps: Steps, value: str) -> None:
    assert steps.open(Purpose.SIGN_IN, value) is None


def test_it_lasts_a_quarter_of_an_hour(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: clock)
    sealed = steps.seal(Purpose.RESET, VALUES)

    clock += LIFETIME_SECONDS - 1
    assert steps.open(Purpose.RESET, sealed) == VALUES
    clock += 1
    assert steps.open(Purpose.RESET, sealed) is None


def test_the_longest_of_everything_fits_into_a_cookie(steps: Steps) -> None:
    response = Response()
    values = {"goal": "/" * MOST, "email": "é" * EMAIL_MAX, "id": "0" * 36}
    set_step(response, steps.seal(Purpose.SIGN_UP, values | {"email": "e" * EMAIL_MAX}))

    pair = response.headers["set-cookie"].partition(";")[0]
    assert pair.startswith(f"{STEP}=")
    assert len(pair) <= MOST_BYTES


def test_both_are_of_this_host_alone_and_out_of_reach_of_scripts() -> None:
    response = Response()
    set_step(response, "a")
    set_binding(response, "b")
    clear_step(response)

    step, binding, cleared = (
        {part.strip().lower() for part in line.split(";")} for line in response.headers.getlist("set-cookie")
    )
    flags = {"path=/", "secure", "httponly", "samesite=lax"}
    assert step == {"__host-step=a", f"max-age={LIFETIME_SECONDS}", *flags}
    assert binding == {"__host-pre-session=b", *flags}
    assert cleared > {'__host-step=""', "max-age=0", *flags}

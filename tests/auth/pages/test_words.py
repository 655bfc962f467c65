"""How things are said to people."""

from datetime import UTC, datetime, timedelta

import pytest

from services.auth.pages.words import ago, device, in_fours, plain, scope_words

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=1, hours=5), "1 day ago"),
        (timedelta(days=14), "14 days ago"),
        (timedelta(days=15), "on 10 November 2026"),
    ],
)
def test_a_moment_is_told_by_how_long_ago_it_was(passed: timedelta, said: str) -> None:
    assert ago(NOW - passed, NOW) == said


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) CriOS/140 Safari/604", "Chrome on iPhone"),
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("curl/8.5.0", "curl"),
        ("my agent", "my agent"),
        ("x" * 100, "x" * 59 + "…"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_a_device_is_called_by_its_name(user_agent: str | None, said: str) -> None:
    assert device(user_agent) == said


def test_a_scope_is_said_in_words_and_an_unknown_one_as_it_is() -> None:
    assert scope_words("items:read") == "See your items"
    assert scope_words("unheard:of") == "unheard:of"


def test_characters_that_turn_or_hide_others_are_left_out() -> None:
    assert plain("a\u202egpj.exe\u200b\x00") == "agpj.exe"


def test_a_code_to_copy_comes_in_parts_of_four() -> None:
    assert in_fours("HR3MZ-89XCB-2S53F-0") == "HR3M-Z89X-CB2S-53F0"

"""How things that programs write are said to people."""

import re
from datetime import UTC, datetime, timedelta

from services.auth.scopes import SCOPES

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RECENT = 14 * DAY
AGENT_MOST = 60
# the first that is found counts: Edge calls itself Chrome as well, and Chrome Safari
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome"} | {
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows"} | {
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
# what a client allows itself to be called may turn the words around it (Unicode TR9), or be invisible
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def scope_words(scope: str) -> str:
    """What a client may do with a scope, to follow `It will be able to`."""
    return SCOPES.get(scope, scope)


def in_fours(code: str) -> str:
    """A code that is copied by hand, in parts that one can keep in mind; it is read without what parts them."""
    plain_code = code.replace("-", "")
    return "-".join(plain_code[start : start + 4] for start in range(0, len(plain_code), 4))


def device(user_agent: str | None) -> str:
    """Browser and system by their names; what is not known, in its own words, shortened."""
    if not user_agent:
        return "Unknown device"
    browser = next((name for sign, name in BROWSERS.items() if f"{sign}/" in user_agent), None)
    system = next((name for sign, name in SYSTEMS.items() if sign in user_agent), None)
    if browser is None:
        return plain(user_agent, AGENT_MOST)
    return f"{browser} on {system}" if system else browser


def plain(text: str, most: int = 200) -> str:
    """Text without characters that are not seen, and no more of it than has room."""
    seen = UNSEEN.sub("", text)
    return seen if len(seen) <= most else f"{seen[: most - 1]}…"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago something was."""
    passed = (now or datetime.now(UTC)) - moment
    if passed > RECENT:
        return f"on {day(moment)}"
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if (count := passed // unit) > 0:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def day(moment: datetime) -> str:
    """A date in words."""
    return f"{moment.day} {moment:%B %Y}"

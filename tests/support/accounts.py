"""Who signs in under `make load`: accounts of their own, made once by auth's commands, and kept with passwords."""

import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import httpx2

from k8s.node import files
from tests.support.forms import Forms

PEOPLE = 3
"""Each may try to sign in a few times a minute."""
SECRET_MODE = 0o600
ACCOUNT = "/account"
_ONE_TIME = re.compile(r"^one-time password: (\S+)", re.MULTILINE)

Person = tuple[str, str]
"""E-mail and password."""
Operator = Callable[..., str]
"""Runs a command of auth and returns what it printed."""


async def people(http: httpx2.AsyncClient, origin: str, file: Path, operator: Operator) -> list[Person]:
    """Those of the file, if they can still sign in, else new ones. Raises ValueError when new ones cannot either."""
    known = _read(file)
    if known and await _signs_in(http, origin, known[0]):
        return known
    made = [await _made(http, origin, operator) for _ in range(PEOPLE)]
    files.write(file, json.dumps(made) + "\n", SECRET_MODE)
    return made


def _read(file: Path) -> list[Person]:
    try:
        return [(str(email), str(password)) for email, password in json.loads(file.read_text())]
    except (OSError, ValueError):
        return []


async def _signs_in(http: httpx2.AsyncClient, origin: str, person: Person) -> bool:
    browser = Forms(http, origin)
    await browser.open("/login")
    answer = await browser.send("/login", email=person[0], password=person[1])
    return answer.headers.get("location") == ACCOUNT


async def _made(http: httpx2.AsyncClient, origin: str, operator: Operator) -> Person:
    """Somebody new, who has chosen a password in place of the one that the command printed."""
    email, password = f"load-{secrets.token_hex(5)}@slipway.localhost", secrets.token_urlsafe(24)
    said = operator("users", "create", email, "Somebody of make load", "--role", "viewer")
    found = _ONE_TIME.search(said)
    if found is None:
        raise ValueError(f"`users create` printed no password: {said!r}")
    browser = Forms(http, origin)
    await browser.open("/login")
    first = await browser.send("/login", email=email, password=found[1])
    await browser.open(first.headers.get("location", "/login"))
    answer = await browser.send("/login/new-password", new_password=password)
    if answer.headers.get("location") != ACCOUNT:
        raise ValueError(f"{email} could not choose a password: {answer.status_code}")
    return email, password

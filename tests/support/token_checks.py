"""What every service must make of hostile tokens, and of good ones in the wrong place."""

from dataclasses import dataclass

import httpx2
import pytest

from services.common.logging import configure_logging
from tests.support import waits
from tests.support.forger import Forger
from tests.support.hostile_tokens import PRESENTATIONS, TOKENS, Presented

SECRET_PARTS = 12  # characters of a token that are long enough to be looked for in a log


@dataclass(frozen=True)
class Target:
    """An operation of a service that needs a token and no more than that."""

    client: httpx2.AsyncClient
    path: str
    forger: Forger

    async def present(self, how: Presented) -> httpx2.Response:
        """Ask."""
        headers = [(name.encode(), value.encode("latin-1", "backslashreplace")) for name, value in how.headers]
        return await self.client.request(how.method, self.path, headers=headers, params=how.query, data=how.body)

    async def ask(self, token: str) -> httpx2.Response:
        """With this token, as it should be presented."""
        return await self.present(Presented([("Authorization", f"Bearer {token}")]))


async def check_refused(target: Target, token: str, how: Presented, output: pytest.CaptureFixture[str]) -> None:
    """The answer is 401 with a challenge, and nothing of the token stands in it or in the log."""
    configure_logging("tests", "DEBUG")
    output.readouterr()

    answer = await target.present(how)

    written: list[str] = []

    def is_told() -> bool:  # after the answer was sent, which may be after it was read
        written.extend(output.readouterr())
        return '"status":401' in "".join(written)

    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    await waits.until(is_told, "the log of the request")
    said = f"{''.join(written)}{answer.text}{answer.headers}"
    assert [part for part in token.split(".") if len(part) > SECRET_PARTS and part in said] == []


async def check_hostile(target: Target, name: str, output: pytest.CaptureFixture[str]) -> None:
    """One of TOKENS is refused."""
    token = TOKENS[name](target.forger)
    await check_refused(target, token, Presented([("Authorization", f"Bearer {token}")]), output)


async def check_presentation(target: Target, name: str, output: pytest.CaptureFixture[str]) -> None:
    """A good token is refused in one of PRESENTATIONS."""
    token = target.forger.token()
    await check_refused(target, token, PRESENTATIONS[name](token), output)


async def check_good(target: Target) -> None:
    """The token from which all of them are made is believed: each is refused for what is wrong with it alone."""
    answer = await target.ask(target.forger.token())
    assert answer.status_code == 200, answer.text


async def check_megabyte(target: Target) -> None:
    """A token of a megabyte is refused before it becomes a request, and the service goes on."""
    try:
        answer = await target.ask(target.forger.with_claims(other="x" * 1_000_000))
    except httpx2.TransportError:  # it need not be read to its end
        pass
    else:
        assert answer.status_code == 431
    await check_good(target)

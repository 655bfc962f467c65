"""Tokens that items must not believe."""

import httpx2
import pytest

from tests.support.forger import Forger
from tests.support.hostile_tokens import PRESENTATIONS, TOKENS
from tests.support.token_checks import Target, check_good, check_hostile, check_megabyte, check_presentation
from tests.support.tokens import Issuer

Output = pytest.CaptureFixture[str]


@pytest.fixture
def target(client: httpx2.AsyncClient, issuer: Issuer) -> Target:
    return Target(client, "/v1/items", Forger(issuer.key, issuer.issuer, issuer.audience))


async def test_the_token_that_they_are_made_of_is_believed(target: Target) -> None:
    await check_good(target)


@pytest.mark.parametrize("name", TOKENS, ids=ascii)
async def test_it_is_refused_and_leaves_no_trace(target: Target, name: str, capsys: Output) -> None:
    await check_hostile(target, name, capsys)


@pytest.mark.parametrize("name", PRESENTATIONS)
async def test_a_good_token_is_taken_in_one_place_only(target: Target, name: str, capsys: Output) -> None:
    await check_presentation(target, name, capsys)


async def test_a_token_of_a_megabyte_is_not_read(target: Target) -> None:
    await check_megabyte(target)

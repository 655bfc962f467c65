"""Tokens that the gateway must not believe, and not hand on."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.conftest import Gateway, MakeGateway, Pod, answering, pod
from tests.support.forger import Forger
from tests.support.hostile_tokens import PRESENTATIONS, TOKENS
from tests.support.token_checks import Target, check_good, check_hostile, check_megabyte, check_presentation
from tests.support.tokens import Issuer

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[Pod]:
    async with pod(answering()) as standing:
        yield standing


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway, upstream: Pod) -> AsyncIterator[Gateway]:
    async with make_gateway({"/v1/a": {"upstream": upstream.url, "public": False}}) as made:
        yield made


@pytest.fixture
def target(gateway: Gateway, issuer: Issuer) -> Target:
    return Target(gateway.client, "/v1/a", Forger(issuer.key, issuer.issuer, issuer.audience))


async def test_the_token_that_they_are_made_of_is_believed(target: Target) -> None:
    await check_good(target)


@pytest.mark.parametrize("name", TOKENS, ids=ascii)
async def test_it_is_refused_goes_nowhere_and_leaves_no_trace(
    target: Target, upstream: Pod, name: str, capsys: Output
) -> None:
    before = len(upstream.heads)
    await check_hostile(target, name, capsys)
    await check_hostile(target, name, capsys)  # also when the refusal is remembered
    assert len(upstream.heads) == before


@pytest.mark.parametrize("name", PRESENTATIONS)
async def test_a_good_token_is_taken_in_one_place_only(target: Target, name: str, capsys: Output) -> None:
    await check_presentation(target, name, capsys)


async def test_a_token_of_a_megabyte_is_not_read(target: Target) -> None:
    await check_megabyte(target)

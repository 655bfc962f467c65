"""Consent: asked for once, remembered, widened, refused, taken back; never skipped."""
# ruff: noqa: S608 - statements are put together from words of the tests' own

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from services.auth.audit.record import Origin
from services.auth.oauth.authorization import (
    AuthorizationService,
    ConsentNeeded,
    Redirect,
    SignInNeeded,
    parameters_of,
)
from services.auth.oauth.consents import ConsentService
from services.auth.oauth.tokens import Tokens
from services.auth.sessions.service import SessionService
from services.auth.settings import AuthSettings
from services.common.postgres import DatabaseSession, SessionMaker
from tests.auth.oauth.conftest import SignIn
from tests.auth.oauth.flows import Flow, error_of, said, target
from tests.auth.oauth.parties import REDIRECT_URI

WANTED = "openid profile items:read"


@pytest.fixture
def asking(flow: Flow) -> Flow:
    """A client of somebody else's, which needs consent."""
    return flow.of(flow.parties.app(first_party=False))


class Page:
    """What the consent page does with the person's answer."""

    def __init__(self, sessions: SessionMaker, settings: AuthSettings, flow: Flow) -> None:
        self.sessions, self.settings, self.flow = sessions, settings, flow

    @asynccontextmanager
    async def service(self) -> AsyncGenerator[tuple[DatabaseSession, AuthorizationService]]:
        async with self.sessions() as session:
            tokens = Tokens(self.settings, self.flow.server.ring)
            yield session, AuthorizationService(session, tokens, self.settings, Origin())

    async def question(self, flow: Flow, continue_to: str) -> ConsentNeeded:
        async with self.service() as (session, service):
            value = flow.cookie["Cookie"].partition("=")[2]
            here = await SessionService(session, self.settings).find(value)
            decision = await service.begin(parameters_of(continue_to), here)
        assert isinstance(decision, ConsentNeeded)
        return decision

    async def grant(self, flow: Flow, continue_to: str, *scopes: str) -> Redirect | SignInNeeded:
        async with self.service() as (session, service):
            value = flow.cookie.get("Cookie", "").partition("=")[2]
            here = await SessionService(session, self.settings).find(value)
            return await service.grant(parameters_of(continue_to), here, scopes)

    async def deny(self, continue_to: str) -> Redirect:
        async with self.service() as (_, service):
            return await service.deny(parameters_of(continue_to))


@pytest.fixture
def page(sessions: SessionMaker, settings: AuthSettings, flow: Flow) -> Page:
    return Page(sessions, settings, flow)


def answer_in(decision: object) -> dict[str, str]:
    assert isinstance(decision, Redirect), decision
    assert decision.location.startswith(REDIRECT_URI + "?")
    return dict(parse_qsl(urlsplit(decision.location).query))


async def continue_to(flow: Flow, **changes: str | None) -> str:
    answer = await flow.authorize(**{"scope": WANTED, **changes})
    assert target(answer) == "/login/consent"
    return said(answer)["continue"]


async def allow(flow: Flow, page: Page, *scopes: str, **changes: str | None) -> dict[str, str]:
    return answer_in(await page.grant(flow, await continue_to(flow, **changes), *(scopes or WANTED.split())))


async def test_the_person_is_asked_once_and_then_no_more(asking: Flow, page: Page) -> None:
    where = await continue_to(asking)
    question = await page.question(asking, where)
    assert (question.client.id, question.scopes) == (asking.client.id, tuple(WANTED.split()))
    assert question.continue_to == where

    code = answer_in(await page.grant(asking, where, *WANTED.split()))

    assert code.keys() == {"code", "state", "iss"}
    tokens = (await asking.redeem(code["code"])).json()
    assert tokens["scope"] == WANTED
    assert "code" in said(await asking.authorize(scope=WANTED))
    assert "code" in said(await asking.authorize(scope="openid"))
    assert len(asking.parties.events("consent_given", asking.client)) == 1


async def test_more_scopes_are_asked_for_and_added(asking: Flow, page: Page) -> None:
    await allow(asking, page)
    more = "openid items:read items:write"
    assert target(await asking.authorize(scope=more)) == "/login/consent"

    await allow(asking, page, *more.split(), scope=more)

    [row] = asking.parties.sql(f"SELECT scopes FROM consents WHERE client_id = '{asking.client.id}'")
    assert sorted(row["scopes"]) == ["items:read", "items:write", "openid", "profile"]
    assert "code" in said(await asking.authorize(scope="openid profile items:read items:write"))


async def test_two_answers_at_once_are_both_remembered(asking: Flow, page: Page) -> None:
    read, write = [await continue_to(asking, scope=f"openid items:{word}") for word in ("read", "write")]
    await asyncio.gather(page.grant(asking, read, "items:read"), page.grant(asking, write, "items:write"))

    [row] = asking.parties.sql(f"SELECT scopes FROM consents WHERE client_id = '{asking.client.id}'")
    assert sorted(row["scopes"]) == ["items:read", "items:write", "openid"]


async def test_the_person_may_allow_less(asking: Flow, page: Page) -> None:
    answer = await allow(asking, page, "items:read")

    assert (await asking.redeem(answer["code"])).json()["scope"] == "openid items:read"
    assert target(await asking.authorize(scope=WANTED)) == "/login/consent"


async def test_nobody_can_allow_what_was_not_asked_for(asking: Flow, page: Page) -> None:
    answer = await allow(asking, page, "items:read", "items:write", "items:admin")

    assert (await asking.redeem(answer["code"])).json()["scope"] == "openid items:read"


async def test_allowing_nothing_is_a_no(asking: Flow, page: Page) -> None:
    answer = answer_in(await page.grant(asking, await continue_to(asking), "nonsense"))

    assert (answer["error"], answer["state"]) == ("access_denied", "the state")
    assert "code" not in answer


async def test_a_no_is_told_to_the_client_and_asked_anew_the_next_time(asking: Flow, page: Page) -> None:
    answer = answer_in(await page.deny(await continue_to(asking)))

    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "the state", "https://slipway.test")
    assert target(await asking.authorize(scope=WANTED)) == "/login/consent"


async def test_without_asking_there_is_no_consent(asking: Flow) -> None:
    assert said(await asking.authorize(scope=WANTED, prompt="none"))["error"] == "consent_required"


@pytest.mark.parametrize("first_party", [True, False])
async def test_prompt_consent_asks_whatever_is_remembered(asking: Flow, page: Page, first_party: bool) -> None:
    asking.parties.sql(f"UPDATE clients SET first_party = {first_party} WHERE id = '{asking.client.id}'")
    await allow(asking, page, prompt="consent")

    assert "code" in await allow(asking, page, prompt="consent")


async def test_who_is_signed_out_meanwhile_signs_in_before_the_answer_counts(asking: Flow, page: Page) -> None:
    where = await continue_to(asking)
    asking.parties.sql(f"UPDATE sessions SET ended_at = now() WHERE user_id = '{asking.person}'")

    assert isinstance(await page.grant(asking, where, *WANTED.split()), SignInNeeded)
    assert asking.parties.sql(f"SELECT 1 FROM consents WHERE client_id = '{asking.client.id}'") == []


async def test_one_persons_consent_is_not_anothers(asking: Flow, page: Page, sign_in: SignIn) -> None:
    await allow(asking, page)
    other = replace(asking, cookie=await sign_in(asking.parties.person("editor")))

    assert target(await other.authorize(scope=WANTED)) == "/login/consent"


async def test_a_consent_taken_back_ends_what_came_of_it_and_is_asked_for_anew(
    asking: Flow, page: Page, sessions: SessionMaker
) -> None:
    scope = "openid offline_access"
    first = await allow(asking, page, *scope.split(), scope=scope)
    tokens = (await asking.redeem(first["code"])).json()
    pending = await asking.code(scope=scope)
    other = asking.of(asking.parties.app())
    others = await other.tokens(scope=scope)
    woken: list[int] = []

    async with sessions() as session:
        service = ConsentService(session, Origin(), revoked=lambda: woken.append(1))
        listed = [(consent.scopes, client.id) for consent, client in await service.list(asking.person)]
        done = [await service.withdraw(asking.person, asking.client.id) for _ in range(2)]
        left = await service.list(asking.person)

    assert (sorted(listed[0][0]), listed[0][1]) == (sorted(scope.split()), asking.client.id)
    assert (done, left, woken) == ([True, False], [], [1])
    assert error_of(await asking.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert error_of(await asking.redeem(pending)) == (400, "invalid_grant")
    assert (await asking.userinfo(tokens["access_token"])).status_code == 401
    assert (await asking.userinfo(others["access_token"])).status_code == 200
    assert target(await asking.authorize(scope=scope)) == "/login/consent"
    assert len(asking.parties.events("consent_withdrawn", asking.client)) == 1

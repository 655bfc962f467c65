"""Errors are pages for people, and problem documents for programs."""

from typing import Any

import httpx2
import pytest

from services.auth.pages.goals import Goals
from services.auth.users.service import AccountService
from services.common import middleware
from services.common.exceptions import UnavailableError
from tests.auth.pages.tabs import Tab

HTML, PROBLEM = "text/html; charset=utf-8", "application/problem+json"


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/login/nowhere", "/account/nowhere", "/logout/nowhere", "/login/static/none.css"])
async def test_people_get_a_page(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert kind_of(answer) == (404, HTML)
    assert "<h1>Not found</h1>" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/loginx", "/accounts", "/oauth2/nowhere"])
async def test_programs_get_a_problem_document(client: httpx2.AsyncClient, path: str) -> None:
    assert kind_of(await client.get(path)) == (404, PROBLEM)


async def test_a_wrong_method_names_the_right_ones(client: httpx2.AsyncClient) -> None:
    answer = await client.delete("/login/static/style.css")

    assert kind_of(answer) == (405, HTML)
    assert answer.headers["allow"] == "GET, HEAD"


async def test_a_request_that_leads_nowhere_is_a_page(client: httpx2.AsyncClient) -> None:
    hostile = "<script>alert(1)</script>"
    answer = await client.get("/oauth2/authorize", params={"client_id": hostile, "redirect_uri": "https://evil.test"})

    assert kind_of(answer) == (400, HTML)
    assert "This link does not work" in answer.text
    assert "<script" not in answer.text
    assert "evil.test" not in answer.text


async def test_what_nobody_caught_is_a_page_and_is_logged(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []

    class Log:
        def info(self, event: str, **_: Any) -> None:
            logged.append(event)

        exception = info

    async def fail(*_: object) -> None:
        raise RuntimeError("canary of the inside")

    monkeypatch.setattr(Goals, "of", fail)
    monkeypatch.setattr(middleware, "log", Log())

    answer = await client.get("/login")

    assert kind_of(answer) == (500, HTML)
    assert "Something went wrong on our side" in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "canary" not in answer.text
    assert logged.count("request_failed") == 1


async def test_a_form_that_meets_a_failure_gets_the_page_too(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise UnavailableError("Too many people are signing in at this moment", retry_after_seconds=2)

    monkeypatch.setattr(AccountService, "sign_in", refuse)
    tab = Tab(client)
    await tab.go("/login")

    page = await tab.send("/login", email="ada@slipway.test", password="secret-canary")

    assert (page.status, page.headers["retry-after"]) == (503, "2")
    assert "Too many people are signing in at this moment" in page.text
    assert page.form("/login").values["email"] == "ada@slipway.test"
    assert "canary" not in page.answer.text

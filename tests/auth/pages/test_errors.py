"""Errors are pages for people, and problem documents for programs."""

import httpx2
import pytest

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

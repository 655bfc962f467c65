"""The log over HTTP: for administrators alone, page by page, and each reading stands in it."""

import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from services.auth.audit.events import Event
from services.auth.keys.ring import open_key_ring
from tests.auth.audit.conftest import AuditLog

PATH = "/v1/audit"


class Reader:
    """Somebody with a token."""

    def __init__(self, client: httpx2.AsyncClient, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "reader"}

    async def get(self, query: str = "") -> httpx2.Response:
        return await self._client.get(f"{PATH}{query}", headers=self._headers)


@pytest.fixture
async def tokens(log: AuditLog, client: httpx2.AsyncClient) -> AsyncGenerator[Any]:
    """Makes a reader with these scopes; the token is one of the application's own."""
    now = int(time.time())
    async with open_key_ring(log.settings, log.sessions) as ring:

        def reader(scope: str) -> Reader:
            claims = {"iss": log.settings.issuer, "aud": log.settings.audience, "sub": "root", "client_id": "console"}
            return Reader(client, ring.sign({**claims, "scope": scope, "iat": now, "exp": now + 300}, "at+jwt"))

        log.tamper("DELETE FROM audit_entries")  # that of a first key
        yield reader


@pytest.fixture
def admin(tokens: Any) -> Reader:
    reader: Reader = tokens("users:read users:admin")
    return reader


@pytest.mark.parametrize("scope", ["", "users:read", "items:admin platform:operate"])
async def test_without_the_scope_nothing_is_read_and_nothing_written(log: AuditLog, tokens: Any, scope: str) -> None:
    await log.write()

    answer = await tokens(scope).get()

    assert answer.status_code == 403
    assert 'scope="users:admin"' in answer.headers["www-authenticate"]
    assert [row["event"] for row in log.rows()] == ["sign_in_failed"]


async def test_without_a_token_nobody_reads(log: AuditLog, client: httpx2.AsyncClient) -> None:
    answer = await client.get(PATH)

    assert answer.status_code == 401
    assert log.rows("event = 'audit_read'") == []


async def test_an_administrator_reads_what_happened_and_that_is_written_down_once(log: AuditLog, admin: Reader) -> None:
    await log.write()

    answer = await admin.get("?event=sign_in_failed&subject=s0")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    [item] = answer.json()["items"]
    assert answer.json()["next_cursor"] is None
    assert (item["event"], item["actor"], item["address"]) == ("sign_in_failed", "ada", "192.0.2.1")
    assert item["details"] == {"why": "because", "number": 1.5}
    assert "hash" not in item
    [read] = log.rows("event = 'audit_read'")
    assert (read["actor"], read["user_agent"]) == ("root", "reader")
    assert read["request_id"] == answer.headers["x-request-id"]
    filters = {"event": "sign_in_failed", "subject": "s0"}
    assert json.loads(read["details"]) == {"filters": filters, "before": None}


async def test_pages_hold_each_entry_once_the_newest_first_while_others_are_written(
    log: AuditLog, admin: Reader
) -> None:
    await log.write(7)
    seen, cursor = [], ""
    while True:
        page = (await admin.get(f"?limit=3{cursor}")).json()
        seen += [item["subject"] for item in page["items"] if item["event"] == "sign_in_failed"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == [f"s{number}" for number in reversed(range(7))]


async def test_filters_choose_by_event_actor_and_time(log: AuditLog, admin: Reader) -> None:
    await log.write(actor="bob")
    await log.write(event=Event.USER_CREATED)

    async def found(query: str) -> list[str]:
        return [item["actor"] for item in (await admin.get(query)).json()["items"]]

    assert await found("?actor=bob") == ["bob"]
    assert await found("?event=user_created") == ["ada"]
    assert await found("?since=2999-01-01T00:00:00Z") == []
    assert await found("?event=user_created&since=2026-01-01T00:00:00%2B02:00") == ["ada"]


@pytest.mark.parametrize(
    "query",
    [
        "?event=nothing",
        "?limit=0",
        "?limit=1_0",
        "?cursor=-1",
        "?cursor=9999999999999999999",
        "?cursor=x",
        "?subject=",
        "?subject=%00",
        f"?subject={'x' * 301}",
        "?since=yesterday",
        "?since=2026-01-31T12:00:00",
        "?since=0001-01-01T00:00:00%2B14:00",
        "?page=2",
        "?actor=a&actor=b",
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(log: AuditLog, admin: Reader, query: str) -> None:
    answer = await admin.get(query)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert log.rows("event = 'audit_read'") == []

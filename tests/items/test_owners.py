"""Whose items one reaches: another's and an absent one look and cost the same."""

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from services.items.breaker import Line
from tests.items.conftest import GOOD, Caller, MakeCaller

METHODS = [("GET", {}), ("PUT", {"json": GOOD}), ("PATCH", {"json": {"name": "x"}}), ("DELETE", {})]
CONDITIONS = [{}, {"If-Match": '"1"'}, {"If-Match": "*"}, {"If-None-Match": "*"}, {"If-Match": '"7"'}]


@contextmanager
def counted_statements() -> Generator[list[str]]:
    """Every SQL statement about items that the process sends while the block lasts."""
    seen: list[str] = []

    def record(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        if " items" in statement:  # and not the readiness check, which asks every second
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", record)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every script that the process asks the cache to run, in order."""
    seen: list[str] = []
    ask = Line.ask

    async def record(self: Line, script: Any, *args: Any, **options: Any) -> Any:
        seen.append(script.script)
        return await ask(self, script, *args, **options)

    monkeypatch.setattr(Line, "ask", record)
    return seen


def masked(text: str, item_id: str, request_id: str) -> str:
    return text.replace(item_id, "ID").replace(request_id, "REQUEST")


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
@pytest.mark.parametrize("request_", METHODS, ids=lambda request: request[0])
@pytest.mark.parametrize("cached", [False, True])
async def test_anothers_item_is_answered_byte_by_byte_as_an_absent_one(
    caller: MakeCaller,
    scripts: list[str],
    cached: bool,
    request_: tuple[str, dict[str, Any]],
    conditions: dict[str, str],
) -> None:
    alice, bob = caller(), caller()
    mine = (await alice.create())["id"]
    for _ in range(2 * cached):
        await alice.get(mine)
    absent = str(uuid.uuid4())
    answers = []

    for item_id in (mine, absent):
        scripts.clear()
        with counted_statements() as statements:
            answer = await bob.ask(request_[0], f"/{item_id}", headers=conditions, **request_[1])
        body = masked(answer.text, item_id, answer.headers["x-request-id"])
        headers = {k: v for k, v in answer.headers.items() if k not in {"date", "x-request-id"}}
        answers.append((answer.status_code, body, headers, statements, [*scripts]))

    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert (await alice.get(mine)).json()["version"] == 1


async def test_asking_for_anothers_item_does_not_keep_it_out_of_the_cache(alice: Caller, bob: Caller) -> None:
    mine = (await alice.create())["id"]
    assert (await bob.get(mine)).status_code == 404

    await alice.get(mine)
    with counted_statements() as statements:
        answer = await alice.get(mine)

    assert answer.status_code == 200
    assert statements == []


async def test_an_admin_reads_and_changes_anybodys_item_and_its_owner_stays(alice: Caller, admin: Caller) -> None:
    mine = (await alice.create())["id"]
    await alice.get(mine)

    assert (await admin.get(mine)).json()["owner"] == alice.subject
    assert (await admin.patch(mine, name="checked")).json()["owner"] == alice.subject
    assert (await alice.get(mine)).json()["name"] == "checked"
    assert (await admin.delete(mine)).status_code == 204
    assert (await alice.get(mine)).status_code == 404


async def test_an_item_cached_by_an_admin_stays_hidden_from_others(alice: Caller, bob: Caller, admin: Caller) -> None:
    mine = (await alice.create())["id"]
    for _ in range(2):
        assert (await admin.get(mine)).status_code == 200

    assert (await bob.get(mine)).status_code == 404
    assert (await alice.get(mine)).status_code == 200


async def test_a_create_cannot_name_an_owner(alice: Caller, bob: Caller) -> None:
    answer = await alice.ask("POST", json=GOOD | {"owner": bob.subject})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "body.owner"


async def test_a_list_holds_ones_own_items_and_an_admins_everybodys(caller: MakeCaller) -> None:
    alice, bob, admin = caller(), caller(), caller(scope="items:read items:admin")
    word = uuid.uuid4().hex
    for person in (alice, bob):
        await person.create(name=f"{word} of {person.subject}")

    async def owners(person: Caller) -> list[str]:
        answer = await person.list(name_prefix=word, sort="name")
        return [item["owner"] for item in answer.json()["items"]]

    assert await owners(alice) == [alice.subject]
    assert await owners(bob) == [bob.subject]
    assert await owners(admin) == sorted([alice.subject, bob.subject])

"""What clients may rely on: create, read, replace, patch, delete."""

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.items.conftest import GOOD, Caller, MakeCaller


def assert_problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert {"type", "title", "instance", "request_id"} <= body.keys()
    return body


async def test_a_created_item_has_an_address_a_tag_and_all_members(alice: Caller) -> None:
    answer = await alice.ask("POST", json=GOOD | {"tags": ["home", "light"]})

    item = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/items/{item['id']}"
    assert answer.headers["etag"] == '"1"'
    assert uuid.UUID(item["id"]).version == 7
    assert item == {
        "id": item["id"],
        "owner": alice.subject,
        **GOOD,
        "description": "",
        "tags": ["home", "light"],
        "version": 1,
        "created_at": item["created_at"],
        "updated_at": item["created_at"],
    }


async def test_times_are_utc_rfc_3339_of_now(alice: Caller) -> None:
    created = await alice.create()

    assert created["created_at"].endswith("Z")
    age = datetime.now(UTC) - datetime.fromisoformat(created["created_at"])
    assert abs(age.total_seconds()) < 60


async def test_what_was_created_is_read_from_the_database_and_then_from_the_cache(alice: Caller) -> None:
    created = await alice.create(name="ljuslykta 🏮", description="två\nrader")

    first, second = await alice.get(created["id"]), await alice.get(created["id"])

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == created
    assert first.headers["etag"] == second.headers["etag"] == '"1"'
    assert first.headers["cache-control"] == "private, no-cache"


async def test_put_replaces_every_member_and_defaults_what_is_left_out(alice: Caller) -> None:
    created = await alice.create(description="old", tags=["old"])

    answer = await alice.put(created["id"], name="new", price_minor=0, currency="JPY")

    changed = answer.json()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert changed["updated_at"] > changed["created_at"] == created["created_at"]
    expected = created | {"name": "new", "price_minor": 0, "currency": "JPY", "description": "", "tags": []}
    assert changed == expected | {"version": 2, "updated_at": changed["updated_at"]}
    assert (await alice.get(created["id"])).json() == changed


async def test_put_creates_nothing(alice: Caller) -> None:
    absent = str(uuid.uuid4())

    assert_problem(await alice.put(absent), 404)
    assert_problem(await alice.get(absent), 404)


async def test_patch_changes_only_what_it_names(alice: Caller) -> None:
    created = await alice.create(description="old", tags=["old"])

    answer = await alice.patch(created["id"], price_minor=5)

    changed = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert changed == created | {"price_minor": 5, "version": 2, "updated_at": changed["updated_at"]}
    assert (await alice.get(created["id"])).json() == changed


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json; charset=utf-8"])
async def test_patch_with_null_puts_back_the_default(alice: Caller, media_type: str) -> None:
    created = await alice.create(description="old", tags=["old"])

    answer = await alice.ask(
        "PATCH",
        f"/{created['id']}",
        content=b'{"description": null, "tags": null}',
        headers={"Content-Type": media_type},
    )

    assert answer.status_code == 200, answer.text
    assert (answer.json()["description"], answer.json()["tags"]) == ("", [])


@pytest.mark.parametrize("member", ["name", "price_minor", "currency"])
async def test_patch_with_null_is_refused_where_there_is_no_default(alice: Caller, member: str) -> None:
    created = await alice.create()

    problem = assert_problem(await alice.patch(created["id"], **{member: None}), 422)

    assert problem["errors"][0]["location"] == f"body.{member}"
    assert (await alice.get(created["id"])).json() == created


@pytest.mark.parametrize("media_type", ["text/plain", "application/json-patch+json", "multipart/form-data", ""])
async def test_a_patch_in_another_form_is_415_and_names_the_right_ones(alice: Caller, media_type: str) -> None:
    created = await alice.create()

    answer = await alice.ask(
        "PATCH", f"/{created['id']}", content=b'{"name": "x"}', headers={"Content-Type": media_type}
    )

    assert_problem(answer, 415)
    assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_body_that_does_not_say_it_is_json_is_415(alice: Caller, method: str) -> None:
    path = "" if method == "POST" else f"/{(await alice.create())['id']}"

    answer = await alice.ask(method, path, content=b"name=lamp", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415)


async def test_a_deleted_item_is_gone_also_from_the_cache(alice: Caller) -> None:
    created = await alice.create()
    await alice.get(created["id"])
    await alice.get(created["id"])

    answer = await alice.delete(created["id"])

    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await alice.get(created["id"]), 404)
    assert_problem(await alice.delete(created["id"]), 404)
    assert_problem(await alice.patch(created["id"], name="x"), 404)


async def test_without_a_token_nothing_is_told(client: httpx2.AsyncClient) -> None:
    for method, path in [("GET", ""), ("POST", ""), *((m, f"/{uuid.uuid4()}") for m in ("GET", "PUT", "PATCH"))]:
        answer = await client.request(method, f"/v1/items{path}", headers={"If-Match": "nonsense"})
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "needed"),
    [
        ("GET", "items:read"),
        ("POST", "items:write"),
        ("PUT", "items:write"),
        ("PATCH", "items:write"),
        ("DELETE", "items:write"),
    ],
)
async def test_each_method_needs_its_scope(caller: MakeCaller, method: str, needed: str) -> None:
    others = {"items:read", "items:write", "items:admin", "users:read"} - {needed}
    somebody = caller(scope=" ".join(others))
    path = "" if method == "POST" else f"/{uuid.uuid4()}"
    options = {} if method in {"GET", "DELETE"} else {"json": GOOD}

    answer = await somebody.ask(method, path, **options)

    assert_problem(answer, 403)
    assert f'scope="{needed}"' in answer.headers["www-authenticate"]


async def test_a_subject_too_long_to_own_anything_is_403(caller: MakeCaller) -> None:
    assert_problem(await caller("x" * 256).ask("POST", json=GOOD), 403)
    assert (await caller("y" * 255).create())["owner"] == "y" * 255

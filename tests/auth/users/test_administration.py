"""Users over HTTP, for administrators: what they do, what it ends, and what they may not."""

import asyncio
import uuid
from typing import Any

import pytest

from services.auth.audit.actor import Actor
from services.auth.scopes import SCOPES
from services.auth.users.exceptions import LastAdministratorError
from services.auth.users.role_administration import RoleAdministration
from services.auth.users.user_administration import UserAdministration
from services.common.postgres import open_session
from tests.auth.users.accounts import ANOTHER, ORIGIN, email
from tests.auth.users.office import Office

EVERYTHING = Actor("root", frozenset(SCOPES))


async def test_a_new_user_begins_with_a_one_time_password_that_is_shown_once(office: Office) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"

    made = await office.admin.ask(
        "POST", "/v1/users", {"email": address.upper(), "name": " Ada ", "roles": ["editor", "viewer"]}
    )

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    body = made.json()
    assert (body["email"], body["name"], body["roles"]) == (address, "Ada", ["editor", "viewer"])
    read = await office.admin.ask("GET", made.headers["location"])
    password = body.pop("one_time_password")
    assert read.json() == {name: value for name, value in body.items() if name != "expires_at"}
    assert read.json()["must_change_password"]
    assert password not in str(office.accounts.entries("event = 'user_created'"))
    done = await office.accounts.do("choose_password", address, password, ANOTHER, ORIGIN)
    assert str(done.user.id) == body["id"]
    assert not (await office.admin.ask("GET", made.headers["location"])).json()["must_change_password"]
    [entry] = office.accounts.entries(f"event = 'user_created' AND subject = '{body['id']}'")
    assert (entry["actor"], entry["client_id"]) == ("console", "console")


async def test_an_address_is_given_once_and_roles_that_are_not_there_never(office: Office) -> None:
    address = f"{uuid.uuid4().hex}@slipway.test"
    body = {"email": address, "name": "Ada"}

    assert (await office.admin.ask("POST", "/v1/users", body | {"roles": ["gone"]})).status_code == 422
    assert (await office.admin.ask("POST", "/v1/users", body)).status_code == 201
    assert (await office.admin.ask("POST", "/v1/users", body)).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"email": "ada", "name": "Ada"},
        {"email": "ada@slipway.test", "name": ""},
        {"email": "ada@slipway.test", "name": "\u0007"},
        {"email": "ada@slipway.test", "name": "Ada", "id": "0198c0de-0000-7000-8000-000000000000"},
        {"email": "ada@slipway.test", "name": "Ada", "password_hash": "x"},
        {"email": "ada@slipway.test", "name": "Ada", "roles": ["viewer", "viewer"]},
        {"email": "ada@slipway.test", "name": "Ada", "roles": ["Viewer"]},
        {"email": "ada@slipway.test", "name": "Ada", "roles": "viewer"},
        {"email": ["ada@slipway.test"], "name": "Ada"},
        {"name": "Ada"},
        [],
    ],
)
async def test_a_body_that_is_not_exactly_a_user_is_refused(office: Office, body: Any) -> None:
    answer = await office.admin.ask("POST", "/v1/users", body)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_pages_hold_every_user_once(office: Office) -> None:
    made = {str(await office.accounts.person()) for _ in range(5)}
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await office.admin.ask("GET", f"/v1/users?limit=2{cursor}")).json()
        seen += [user["id"] for user in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert made <= set(seen)
    assert seen == sorted(set(seen))
    assert "argon2" not in (await office.admin.ask("GET", "/v1/users?limit=100")).text
    for wrong in ("?limit=0", "?limit=1&limit=2", "?cursor=x", "?page=2"):
        assert (await office.admin.ask("GET", f"/v1/users{wrong}")).status_code == 422


async def test_a_name_is_changed_by_a_merge_patch_and_nothing_else_is(office: Office) -> None:
    path = f"/v1/users/{await office.accounts.person()}"

    assert (await office.admin.ask("PATCH", path, {"name": "Grace"})).json()["name"] == "Grace"
    assert (await office.admin.ask("PATCH", path, {})).json()["name"] == "Grace"
    for wrong in ({"email": "eve@slipway.test"}, {"name": None}, {"disabled_at": None}, {"roles": ["admin"]}):
        assert (await office.admin.ask("PATCH", path, wrong)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "event"),
    [
        ("POST", "/disable", None, "user_disabled"),
        ("DELETE", "", None, "user_deleted"),
        ("POST", "/sign-out", None, "user_signed_out_everywhere"),
        ("POST", "/one-time-password", None, "one_time_password_made"),
        ("PUT", "/roles", {"roles": ["viewer"]}, "user_roles_changed"),
    ],
)
async def test_what_takes_something_away_is_felt_by_tokens_at_once_and_by_sessions(
    office: Office, method: str, path: str, body: Any, event: str
) -> None:
    user_id = await office.accounts.person("correct horse battery staple", "editor")
    lives = event == "user_roles_changed"  # sessions go on, with what the roles are now
    await office.accounts.start(user_id)
    owner = office.caller("users:self", subject=user_id)
    assert (await owner.ask("GET", "/v1/users/me")).status_code == 200

    answer = await office.admin.ask(method, f"/v1/users/{user_id}{path}", body)

    assert answer.status_code in (200, 204), answer.text
    assert office.accounts.revoked("user", user_id) == 1
    assert office.accounts.live(user_id)[1] == (2 if lives else 0)
    assert bool(office.accounts.live(user_id)[0]) == lives
    assert office.accounts.events(user_id).count(event) == 1

    async def refused() -> bool:
        return (await owner.ask("GET", "/v1/users/me")).status_code == 401

    await eventually(refused)


async def eventually(condition: Any) -> None:
    found: list[bool] = []

    async def ask() -> None:
        while not found:
            if await condition():
                found.append(True)
            await asyncio.sleep(0.02)

    async with asyncio.timeout(20):
        await ask()


async def test_who_is_disabled_is_kept_out_until_enabled(office: Office) -> None:
    user_id = await office.accounts.person()
    path = f"/v1/users/{user_id}"

    for _ in range(2):  # the second changes nothing
        assert (await office.admin.ask("POST", f"{path}/disable")).json()["disabled_at"]
    for _ in range(2):
        assert (await office.admin.ask("POST", f"{path}/enable")).json()["disabled_at"] is None

    assert office.accounts.events(user_id) == ["user_disabled", "user_enabled"]
    assert (
        await office.accounts.do("sign_in", email(user_id), "correct horse battery staple", ORIGIN)
    ).user.id == user_id


async def test_a_user_who_is_not_there_is_404_for_everything(office: Office) -> None:
    path = f"/v1/users/{uuid.uuid4()}"
    operations: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"name": "Eve"}),
        ("DELETE", "", None),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("PUT", "/roles", {"roles": []}),
        ("POST", "/one-time-password", None),
        ("POST", "/sign-out", None),
    ]
    for method, below, body in operations:
        answer = await office.admin.ask(method, f"{path}{below}", body)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/user-not-found"), (method, below)


async def test_nobody_touches_or_gives_more_than_their_token_has(office: Office) -> None:
    """A helpdesk that may administer users, but not items, cannot make itself more by way of anybody else."""
    helpdesk = office.caller("users:read", "users:admin", "items:read")
    above, below = await office.accounts.person("x" * 9, "editor"), await office.accounts.person("x" * 9, "viewer")
    high, low = office.role("items:write"), office.role("items:read")
    refused: list[tuple[str, str, Any]] = [
        ("PATCH", f"/v1/users/{above}", {"name": "Eve"}),
        ("DELETE", f"/v1/users/{above}", None),
        ("POST", f"/v1/users/{above}/disable", None),
        ("POST", f"/v1/users/{above}/enable", None),
        ("PUT", f"/v1/users/{above}/roles", {"roles": []}),
        ("POST", f"/v1/users/{above}/one-time-password", None),
        ("POST", f"/v1/users/{above}/sign-out", None),
        ("PUT", f"/v1/users/{below}/roles", {"roles": [high]}),
        ("POST", "/v1/users", {"email": "eve@slipway.test", "name": "Eve", "roles": [high]}),
        ("PUT", f"/v1/roles/{high}", {"scopes": []}),
        ("PUT", f"/v1/roles/{low}", {"scopes": ["items:read", "items:write"]}),
        ("PUT", "/v1/roles/new-one", {"scopes": ["items:write"]}),
        ("DELETE", f"/v1/roles/{high}", None),
    ]
    before = office.accounts.row(above), office.accounts.row(below)

    for method, path, body in refused:
        answer = await helpdesk.ask(method, path, body)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/more-than-yours"), (method, path)

    assert (office.accounts.row(above), office.accounts.row(below)) == before
    assert (office.roles(above), office.roles(below)) == (["editor"], ["viewer"])
    assert office.accounts.revoked("user", above) == 0
    assert (await helpdesk.ask("PUT", f"/v1/users/{below}/roles", {"roles": [low]})).status_code == 200


def administration(office: Office, kind: Any, session: Any) -> Any:
    return kind(session, office.accounts.settings, EVERYTHING, ORIGIN, wake=lambda: None)


async def test_the_last_administrator_stays(office: Office) -> None:
    role = office.role("users:admin")
    last, disabled = await office.accounts.person("x" * 9, role), await office.accounts.person("x" * 9, role)
    office.accounts.change(disabled, "disabled_at = now()")
    office.only_administrators(last, disabled)
    operations: list[tuple[str, str, Any]] = [
        ("POST", f"/v1/users/{last}/disable", None),
        ("DELETE", f"/v1/users/{last}", None),
        ("PUT", f"/v1/users/{last}/roles", {"roles": ["viewer"]}),
        ("PUT", f"/v1/roles/{role}", {"scopes": ["users:read"]}),
        ("DELETE", f"/v1/roles/{role}", None),
    ]

    for method, path, body in operations:
        answer = await office.admin.ask(method, path, body)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/last-administrator"), (method, path)

    assert office.roles(last) == [role]
    assert office.accounts.row(last)["disabled_at"] is None
    assert office.accounts.revoked("user", last) == 0
    assert (await office.admin.ask("POST", f"/v1/users/{disabled}/enable")).status_code == 200
    assert (await office.admin.ask("DELETE", f"/v1/users/{last}")).status_code == 204


@pytest.mark.parametrize("how", ["disable", "delete", "set_roles"])
async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(office: Office, how: str) -> None:
    for _ in range(5):
        role = office.role("users:admin")
        pair = [await office.accounts.person("x" * 9, role) for _ in range(2)]
        office.only_administrators(*pair)
        start = asyncio.Barrier(2)

        async def remove(user_id: uuid.UUID, start: asyncio.Barrier = start) -> None:
            async with open_session(office.accounts.sessions) as session:
                await session.connection()
                await start.wait()
                more: list[Any] = [[]] if how == "set_roles" else []
                await getattr(administration(office, UserAdministration, session), how)(user_id, *more)

        results = await asyncio.gather(*map(remove, pair), return_exceptions=True)

        assert sorted(type(result).__name__ for result in results) in (
            ["LastAdministratorError", "NoneType"],
            ["LastAdministratorError", "UserRead"],
        )


async def test_of_two_roles_that_are_stripped_at_once_one_stays(office: Office) -> None:
    for _ in range(5):
        names = [office.role("users:admin") for _ in range(2)]
        pair = [await office.accounts.person("x" * 9, name) for name in names]
        office.only_administrators(*pair)
        start = asyncio.Barrier(2)

        async def strip(name: str, start: asyncio.Barrier = start) -> None:
            async with open_session(office.accounts.sessions) as session:
                await session.connection()
                await start.wait()
                await administration(office, RoleAdministration, session).put(name, "", [])

        results = await asyncio.gather(*map(strip, names), return_exceptions=True)

        assert sum(isinstance(result, LastAdministratorError) for result in results) == 1
        assert sum(result is None for result in results) == 1


async def test_a_role_that_loses_a_scope_ends_the_tokens_of_its_holders_and_one_that_gains_none(office: Office) -> None:
    role = office.role("items:read", "items:write")
    holder, other = await office.accounts.person("x" * 9, role), await office.accounts.person("x" * 9, "editor")
    path = f"/v1/roles/{role}"

    wider = await office.admin.ask("PUT", path, {"scopes": ["items:read", "items:write", "items:admin"]})
    assert wider.json()["scopes"] == ["items:read", "items:write", "items:admin"]
    assert office.accounts.revoked("user", holder) == 0
    await office.admin.ask("PUT", path, {"scopes": ["items:read"], "description": "Looks"})
    assert office.accounts.revoked("user", holder) == 1
    await office.admin.ask("PUT", path, {"scopes": ["items:read"], "description": "Looks"})  # changes nothing
    assert len(office.accounts.entries(f"event = 'role_changed' AND subject = '{role}'")) == 2

    assert (await office.admin.ask("DELETE", path)).status_code == 204
    assert (office.accounts.revoked("user", holder), office.roles(holder)) == (2, [])
    assert office.accounts.revoked("user", other) == 0
    assert (await office.admin.ask("DELETE", path)).status_code == 404
    assert len(office.accounts.entries(f"event = 'role_removed' AND subject = '{role}'")) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Role", {"scopes": []}),
        ("a" * 41, {"scopes": []}),
        ("a%0A", {"scopes": []}),
        ("role", {"scopes": ["items:everything"]}),
        ("role", {"scopes": ["openid"]}),
        ("role", {"scopes": ["users:self"]}),
        ("role", {"scopes": ["items:read", "items:read"]}),
        ("role", {"scopes": "items:read"}),
        ("role", {"scopes": [], "name": "other"}),
        ("role", {}),
    ],
)
async def test_what_is_no_role_is_refused(office: Office, name: str, body: Any) -> None:
    assert (await office.admin.ask("PUT", f"/v1/roles/{name}", body)).status_code == 422


async def test_roles_are_listed_by_name(office: Office) -> None:
    items = (await office.admin.ask("GET", "/v1/roles")).json()["items"]

    found = [item["name"] for item in items]
    assert found == sorted(found)
    assert {"viewer", "editor", "admin"} <= set(found)


async def test_people_see_and_end_their_own_sessions_and_nobody_elses(office: Office) -> None:
    ada, eve = await office.accounts.person(), await office.accounts.person()
    (here, _), (there, _), (elsewhere, _) = [await office.accounts.start(ada) for _ in range(3)]
    of_eve, _ = await office.accounts.start(eve)
    caller = office.caller("users:self", subject=ada, session_id=here)

    me = (await caller.ask("GET", "/v1/users/me")).json()
    assert (me["id"], me["email"]) == (str(ada), email(ada))
    items = (await caller.ask("GET", "/v1/users/me/sessions")).json()["items"]
    assert {item["id"]: item["current"] for item in items} == {
        str(here): True,
        str(there): False,
        str(elsewhere): False,
    }
    assert "token_hash" not in items[0]
    assert (await caller.ask("DELETE", f"/v1/users/me/sessions/{of_eve}")).status_code == 404
    assert (await caller.ask("DELETE", f"/v1/users/me/sessions/{there}")).status_code == 204
    assert (await caller.ask("DELETE", f"/v1/users/me/sessions/{there}")).status_code == 404
    assert (await caller.ask("DELETE", "/v1/users/me/sessions")).json() == {"ended": 1}
    assert office.accounts.live(ada)[0] == [here]
    assert office.accounts.live(eve)[0] == [of_eve]
    assert [office.accounts.revoked("session", one) for one in (here, there, elsewhere)] == [0, 1, 1]


async def test_a_client_has_nothing_of_its_own_among_people(office: Office) -> None:
    machine = office.caller("users:self", subject="machine", client_id="machine")

    for method, path in (("GET", ""), ("GET", "/sessions"), ("DELETE", "/sessions")):
        answer = await machine.ask(method, f"/v1/users/me{path}")
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/not-a-person")

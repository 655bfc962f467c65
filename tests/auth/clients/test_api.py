"""Clients over HTTP: registered, read, changed and removed by those who may, and what then holds for their tokens."""

import hashlib
import json
import re
from typing import Any

import httpx2
import pytest

from services.auth.revocations.publisher import Publisher
from tests.auth.clients.conftest import CALLBACK, EVERYTHING, MACHINE, WEB, Caller, Database, MakeCaller, some_id

ANY_ID = "anything"
OPERATIONS = [
    ("POST", "", "users:admin"),
    ("GET", "", "users:read"),
    ("GET", f"/{ANY_ID}", "users:read"),
    ("PATCH", f"/{ANY_ID}", "users:admin"),
    ("POST", f"/{ANY_ID}/secret", "users:admin"),
    ("POST", f"/{ANY_ID}/disable", "users:admin"),
    ("POST", f"/{ANY_ID}/enable", "users:admin"),
    ("DELETE", f"/{ANY_ID}", "users:admin"),
]


async def token(http: httpx2.AsyncClient, created: dict[str, Any], scope: str) -> httpx2.Response:
    form = {"grant_type": "client_credentials", "scope": scope}
    return await http.post("/oauth2/token", data=form, auth=(created["id"], created["secret"]))


@pytest.mark.parametrize(("method", "path", "needed"), OPERATIONS)
async def test_each_operation_needs_its_scope(
    client: httpx2.AsyncClient, caller: MakeCaller, method: str, path: str, needed: str
) -> None:
    others = " ".join(scope for scope in EVERYTHING.split() if scope != needed)

    stranger = await client.request(method, f"/v1/clients{path}", content=b"\xff")
    refused = await caller(others).ask(method, path, content=b"\xff")

    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.status_code == 403
    assert f'scope="{needed}"' in refused.headers["www-authenticate"]


async def test_a_machine_is_given_a_secret_once_and_gets_tokens_with_it(
    admin: Caller, client: httpx2.AsyncClient, database: Database
) -> None:
    answer = await admin.ask("POST", json=MACHINE)
    created = answer.json()

    assert answer.headers["location"] == f"/v1/clients/{created['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch("[A-Za-z0-9_-]{43}", created["secret"])
    assert created["grant_types"] == ["client_credentials"]
    assert database.client(created["id"])["secret_hash"] == hashlib.sha256(created["secret"].encode()).digest()
    assert (await token(client, created, "items:read")).json()["scope"] == "items:read"
    for path in ("", f"/{created['id']}"):
        shown = (await admin.ask("GET", path, params={} if path else {"limit": 100})).text
        assert created["id"] in shown
        assert created["secret"] not in shown
        assert "secret_hash" not in shown
    [event] = database.events(created["id"])
    assert (event["event"], event["actor"], event["client_id"]) == ("client_created", "root", "console")
    assert json.loads(event["details"])["scopes"] == ["items:read"]
    assert created["secret"] not in event["details"]


async def test_two_secrets_are_never_alike(admin: Caller) -> None:
    secrets = {(await admin.create(**MACHINE))["secret"] for _ in range(5)}

    assert len(secrets) == 5


async def test_a_public_client_has_no_secret_and_none_can_be_made(admin: Caller, database: Database) -> None:
    created = await admin.create(**WEB, authentication_method="none")

    assert created["secret"] is None
    assert created["grant_types"] == ["authorization_code"]
    answers = [await admin.post(created["id"], "secret")]
    answers.append(await admin.patch(created["id"], authentication_method="client_secret_basic"))
    assert [answer.json()["type"] for answer in answers] == ["/problems/client-has-no-secret"] * 2
    assert len(database.events(created["id"])) == 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": ""}, "body.name"),
        ({"name": " Web"}, "body.name"),
        ({"name": "We\u202eb"}, "body.name"),
        ({"name": "a\0"}, "body.name"),
        ({"name": 7}, "body.name"),
        ({"id": "Web"}, "body.id"),
        ({"id": "a b"}, "body.id"),
        ({"id": "a:b"}, "body.id"),
        ({"id": "a" * 101}, "body.id"),
        ({"id": "operator"}, "body.id"),
        ({"id": "a1b2c3d4-0000-7000-8000-000000000000"}, "body.id"),  # a user's
        ({"scopes": ["items:all"]}, "body.scopes.0"),
        ({"scopes": ["items:read", "items:read"]}, "body.scopes"),
        ({"scopes": "items:read"}, "body.scopes"),
        ({"grant_types": ["password"]}, "body.grant_types.0"),
        ({"grant_types": ["implicit"]}, "body.grant_types.0"),
        ({"redirect_uris": ["http://app.example/"]}, "body.redirect_uris.0"),
        ({"redirect_uris": [CALLBACK] * 2}, "body.redirect_uris"),
        ({"redirect_uris": [f"{CALLBACK}/{n}" for n in range(21)]}, "body.redirect_uris"),
        ({"post_logout_redirect_uris": ["https://app.example/#"]}, "body.post_logout_redirect_uris.0"),
        ({"authentication_method": "private_key_jwt"}, "body.authentication_method"),
        ({"first_party": "yes"}, "body.first_party"),
        ({"secret": "mine"}, "body.secret"),
        ({"secret_hash": "mine"}, "body.secret_hash"),
        ({"disabled_at": None}, "body.disabled_at"),
    ],
    ids=ascii,
)
async def test_wrong_members_are_refused_where_they_stand(admin: Caller, changes: dict[str, Any], where: str) -> None:
    answer = await admin.ask("POST", json={**WEB, **changes})

    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [where]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"grant_types": []}, "needs a grant type"),
        ({"authentication_method": "none"}, "cannot have client_credentials"),
        ({"grant_types": ["authorization_code"]}, "needs a redirect URI"),
        ({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, "Redirect URIs are for"),
        ({"post_logout_redirect_uris": [CALLBACK]}, "Redirect URIs are for"),
        ({"grant_types": ["refresh_token"]}, "refresh_token goes with authorization_code"),
        ({"scopes": ["openid"]}, "openid: about a person"),
        ({"scopes": ["items:read", "users:self", "email"]}, "email users:self: about a person"),
        (
            {**WEB, "scopes": ["offline_access"], "grant_types": ["authorization_code"]},
            "offline_access needs the grant type",
        ),
        ({**WEB, "grant_types": ["authorization_code", "refresh_token"]}, "needs the scope offline_access"),
        ({**WEB, "redirect_uris": ["com.example.app:/callback"]}, "native apps, which are public"),
    ],
    ids=ascii,
)
async def test_what_could_never_work_is_refused_with_what_would(
    admin: Caller, body: dict[str, Any], sentence: str
) -> None:
    client_id = some_id()

    answer = await admin.ask("POST", json={"id": client_id, "name": "A", **body})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/impossible-client")
    assert sentence in answer.json()["detail"]
    assert (await admin.ask("GET", f"/{client_id}")).status_code == 404


async def test_a_change_that_would_not_work_is_refused_and_nothing_is_changed(
    admin: Caller, database: Database
) -> None:
    created = await admin.create(**WEB)

    answer = await admin.patch(created["id"], name="Other", redirect_uris=[])

    assert answer.json()["type"] == "/problems/impossible-client"
    assert (await admin.ask("GET", f"/{created['id']}")).json()["name"] == "Web"
    assert len(database.events(created["id"])) == 1


async def test_nobody_registers_a_client_that_may_more_than_they(caller: MakeCaller) -> None:
    limited = caller("users:read users:admin items:read")

    refused = await limited.ask("POST", json={**MACHINE, "scopes": ["items:read", "items:admin"]})
    allowed = await limited.ask("POST", json={**WEB, "scopes": ["openid", "profile", "items:read"]})

    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/scope-not-held")
    assert refused.json()["detail"].endswith("yourself: items:admin.")
    assert allowed.status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"scopes": ["items:read", "items:admin"]}),
        ("", {"scopes": ["platform:operate", "items:read"]}),
        ("", {"redirect_uris": ["https://evil.example/"]}),
        ("", {"first_party": True}),
        ("/secret", None),
        ("/enable", None),
    ],
    ids=ascii,
)
async def test_nobody_gets_hold_of_a_client_that_may_more_than_they(
    admin: Caller, caller: MakeCaller, database: Database, path: str, body: Any
) -> None:
    created = await admin.create(**{**WEB, "scopes": ["items:read", "platform:operate"]})
    before = dict(database.client(created["id"]))
    limited = caller("users:read users:admin items:read")

    method, options = ("POST", {}) if body is None else ("PATCH", {"json": body})
    answer = await limited.ask(method, f"/{created['id']}{path}", **options)

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/scope-not-held")
    assert dict(database.client(created["id"])) == before


async def test_anybody_who_administers_may_take_away(admin: Caller, caller: MakeCaller) -> None:
    created = await admin.create(**{**WEB, "scopes": ["items:read", "platform:operate"]})
    limited = caller("users:read users:admin items:read")

    assert (await limited.patch(created["id"], scopes=["items:read"])).json()["scopes"] == ["items:read"]
    assert (await limited.post(created["id"], "disable")).status_code == 200
    assert (await limited.ask("DELETE", f"/{created['id']}")).status_code == 204


@pytest.mark.parametrize("change", ["disable", "delete", "secret", "scopes", "grant_types"])
async def test_what_takes_rights_away_is_felt_by_tokens_within_a_second(
    admin: Caller, client: httpx2.AsyncClient, database: Database, change: str
) -> None:
    grants = ["client_credentials", "authorization_code"]
    scopes = ["users:read", "items:read"]
    created = await admin.create(**{**WEB, "scopes": scopes, "grant_types": grants})
    machine = Caller(client, (await token(client, created, "users:read")).json()["access_token"])
    assert (await machine.ask("GET")).status_code == 200

    if change == "delete":
        await admin.ask("DELETE", f"/{created['id']}")
    elif change == "scopes":
        await admin.patch(created["id"], scopes=["items:read"])
    elif change == "grant_types":
        await admin.patch(created["id"], grant_types=["authorization_code"])
    else:
        await admin.post(created["id"], change)

    answer = await machine.ask_until_refused()
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert (await token(client, created, "users:read")).status_code in (400, 401)
    assert database.revocations(created["id"]) == 1
    assert len(database.events(created["id"])) == 2


@pytest.mark.parametrize("action", ["disable", "secret", "delete"])
async def test_the_publisher_is_woken_once_when_all_can_see_what_was_revoked(
    admin: Caller, database: Database, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    created = await admin.create(**MACHINE)
    seen: list[int] = []
    monkeypatch.setattr(Publisher, "wake", lambda _: seen.append(database.revocations(created["id"])))

    await (admin.ask("DELETE", f"/{created['id']}") if action == "delete" else admin.post(created["id"], action))

    assert seen == [1]


async def test_what_adds_rights_or_changes_none_refuses_no_token(
    admin: Caller, client: httpx2.AsyncClient, database: Database
) -> None:
    created = await admin.create(**MACHINE)

    await admin.patch(created["id"], scopes=["items:read", "users:read"], name="Robot 2")
    await admin.patch(created["id"], name="Robot 2")

    assert database.revocations(created["id"]) == 0
    _, changed = database.events(created["id"])
    details = json.loads(changed["details"])
    assert details["before"] == {"scopes": ["items:read"], "name": "Robot"}
    assert details["after"] == {"scopes": ["items:read", "users:read"], "name": "Robot 2"}
    assert (await token(client, created, "users:read")).status_code == 200


async def test_doing_it_again_is_no_other_event(admin: Caller, database: Database) -> None:
    created = await admin.create(**MACHINE)

    for action in ("enable", "disable", "disable", "enable", "enable"):
        assert (await admin.post(created["id"], action)).status_code == 200

    events = [row["event"] for row in database.events(created["id"])]
    assert events == ["client_created", "client_disabled", "client_enabled"]
    assert database.revocations(created["id"]) == 1


async def test_tokens_of_before_stay_refused_when_a_client_is_enabled_again(
    admin: Caller, client: httpx2.AsyncClient
) -> None:
    created = await admin.create(**{**MACHINE, "scopes": ["users:read"]})
    before = Caller(client, (await token(client, created, "users:read")).json()["access_token"])

    await admin.post(created["id"], "disable")
    assert (await token(client, created, "users:read")).status_code == 401
    await admin.post(created["id"], "enable")
    after = Caller(client, (await token(client, created, "users:read")).json()["access_token"])

    answer = await before.ask_until_refused()
    assert answer.status_code == 401
    assert (await after.ask("GET")).status_code == 200


async def test_after_a_rotation_only_the_new_secret_is_good(
    admin: Caller, client: httpx2.AsyncClient, database: Database
) -> None:
    created = await admin.create(**MACHINE)

    rotated = (await admin.post(created["id"], "secret")).json()

    assert (await token(client, created, "items:read")).status_code == 401
    assert (await token(client, rotated, "items:read")).status_code == 200
    assert rotated["secret"] not in "".join(row["details"] for row in database.events(created["id"]))


async def test_what_is_not_there_is_404(admin: Caller) -> None:
    for method, path, _ in OPERATIONS[2:]:
        options: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
        answer = await admin.ask(method, path, **options)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/client-not-found"), (method, path)


@pytest.mark.parametrize("client_id", ["%00", "%FF", "a%0Ab", "a" * 101, "..%2F", "%27%20OR%201=1"])
async def test_strange_ids_are_no_clients(admin: Caller, client_id: str) -> None:
    assert (await admin.ask("GET", f"/{client_id}")).status_code in (400, 404, 422)


async def test_bodies_are_read_strictly(admin: Caller) -> None:
    twice = b'{"name": "A", "name": "B", "scopes": []}'
    json_type = {"Content-Type": "application/json"}

    assert (await admin.ask("POST", content=twice, headers=json_type)).status_code == 400
    assert (await admin.ask("POST", content=b"{}", headers={"Content-Type": "text/plain"})).status_code == 415


async def test_pages_hold_each_client_once_by_their_ids(admin: Caller) -> None:
    made = sorted([(await admin.create(**MACHINE, id=some_id()))["id"] for _ in range(5)])
    seen, cursor = [], ""
    for _ in range(100):
        page = (await admin.ask("GET", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == sorted(set(seen))
    assert {*made} <= {*seen}

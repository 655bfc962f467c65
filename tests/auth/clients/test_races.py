"""Two at once: of tokens and changes, of changes, and of registrations."""

import asyncio
import json
import uuid
from collections import Counter

import asyncpg  # type: ignore[import-untyped]

from tests.auth.clients.conftest import CALLBACK, MACHINE, WEB, Caller, Database, some_id


async def test_a_revocation_waits_for_tokens_in_the_making_and_comes_after_them(
    admin: Caller, database: Database
) -> None:
    for action in ("disable", "secret", "delete"):
        created = await admin.create(**MACHINE)
        issuing = await asyncpg.connect(database.url, timeout=30)
        transaction = issuing.transaction()
        await transaction.start()
        await issuing.execute("SELECT 1 FROM clients WHERE id = $1 FOR SHARE", created["id"])

        path = f"/{created['id']}" if action == "delete" else f"/{created['id']}/{action}"
        change = asyncio.create_task(admin.ask("DELETE" if action == "delete" else "POST", path))
        done, _ = await asyncio.wait({change}, timeout=0.3)
        issued_at = await issuing.fetchval("SELECT clock_timestamp()")
        await transaction.commit()
        await issuing.close()
        await asyncio.wait_for(change, 30)

        assert done == set()
        where = f"kind = 'client' AND target = '{created['id']}'"
        [row] = database.sql(f"SELECT at FROM revocations WHERE {where}")  # noqa: S608 - of our own words
        assert row["at"] > issued_at


async def test_of_changes_at_once_none_is_lost_and_each_knows_what_was_before(
    admin: Caller, database: Database
) -> None:
    for _ in range(5):
        created = await admin.create(**WEB)
        logout = ["https://app.example/bye"]
        await asyncio.gather(
            admin.patch(created["id"], name="Other"),
            admin.patch(created["id"], post_logout_redirect_uris=logout),
            admin.patch(created["id"], first_party=True),
            *(admin.patch(created["id"], redirect_uris=[CALLBACK, f"{CALLBACK}/{n}"]) for n in range(5)),
        )

        row = database.client(created["id"])
        assert (row["name"], row["post_logout_redirect_uris"], row["first_party"]) == ("Other", logout, True)
        changes = [json.loads(event["details"]) for event in database.events(created["id"])[1:]]
        known = created
        for change in changes:
            assert {name: known[name] for name in change["before"]} == change["before"]
            known = known | change["after"]
        assert known["redirect_uris"] == row["redirect_uris"]


async def test_of_registrations_at_once_under_one_id_one_succeeds(admin: Caller, database: Database) -> None:
    client_id = some_id()

    answers = await asyncio.gather(*(admin.ask("POST", json={**MACHINE, "id": client_id}) for _ in range(8)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}
    assert {answer.json().get("type") for answer in answers} == {None, "/problems/client-exists"}
    assert len(database.events(client_id)) == 1


async def test_of_disablings_at_once_one_is_an_event(admin: Caller, database: Database) -> None:
    created = await admin.create(**MACHINE)

    answers = await asyncio.gather(*(admin.post(created["id"], "disable") for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert [row["event"] for row in database.events(created["id"])] == ["client_created", "client_disabled"]


async def test_who_takes_the_id_of_a_removed_client_inherits_nothing(admin: Caller, database: Database) -> None:
    created = await admin.create(**WEB, id=some_id())
    person = uuid.uuid4()
    database.sql(
        "INSERT INTO users (id, email, name, password_hash) "  # noqa: S608 - of our own words
        f"VALUES ('{person}', '{person}@slipway.test', 'Ada', 'none')"
    )
    database.sql(f"INSERT INTO consents VALUES ('{person}', '{created['id']}', ARRAY['openid'], now())")  # noqa: S608

    await admin.ask("DELETE", f"/{created['id']}")
    again = await admin.create(**WEB, id=created["id"])

    assert again["secret"] != created["secret"]
    assert database.sql(f"SELECT 1 FROM consents WHERE client_id = '{created['id']}'") == []  # noqa: S608

"""What operators run."""

import json

import pytest
from pydantic import SecretStr

from services.auth.clients.commands import add_commands
from services.auth.settings import AuthSettings
from tests.auth.clients.conftest import CALLBACK, Database, some_id
from tests.auth.commands import run_command

Printed = pytest.CaptureFixture[str]


async def run(settings: AuthSettings, *words: str) -> int:
    return await run_command(settings, add_commands, "clients", *words)


async def created(settings: AuthSettings, printed: Printed, *words: str) -> dict[str, object]:
    assert await run(settings, "create", *words, "--json") == 0
    return dict(json.loads(printed.readouterr().out))


async def test_create_prints_the_secret_once_and_show_does_not(
    settings: AuthSettings, database: Database, capsys: Printed
) -> None:
    client_id = some_id()

    assert await run(settings, "create", "Night shift", "--id", client_id, "--scopes", "items:read", "items:admin") == 0
    lines = capsys.readouterr().out.splitlines()
    assert await run(settings, "show", client_id) == 0
    shown = capsys.readouterr().out

    assert lines[0].split() == ["id", client_id]
    assert "scopes                    items:read items:admin" in lines
    [secret] = [line.split()[1] for line in lines if line.startswith("secret")]
    assert lines[-1].endswith("(shown this once)")
    assert len(secret) == 43
    assert secret not in shown
    [event] = database.events(client_id)
    assert (event["event"], event["actor"], event["address"]) == ("client_created", "operator", None)


async def test_words_may_come_apart_or_in_one(settings: AuthSettings, capsys: Printed) -> None:
    words = ("--scopes", "openid offline_access,items:read", "--scopes", "email", "--public", "--first-party")
    uris = ("--redirect-uri", CALLBACK, "--redirect-uri", f"{CALLBACK}/2")

    client = await created(settings, capsys, "Web", *words, *uris)

    assert client["scopes"] == ["openid", "offline_access", "items:read", "email"]
    assert client["redirect_uris"] == [CALLBACK, f"{CALLBACK}/2"]
    assert client["grant_types"] == ["authorization_code", "refresh_token"]
    assert (client["authentication_method"], client["secret"], client["first_party"]) == ("none", None, True)


async def test_each_step_of_a_clients_life_is_an_event_and_says_how_it_is_then(
    settings: AuthSettings, database: Database, capsys: Printed
) -> None:
    first = await created(settings, capsys, "Robot", "--scopes", "items:read")
    client_id = str(first["id"])

    assert await run(settings, "change", client_id, "--name", "Robot 2", "--scopes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["scopes"] == []
    assert await run(settings, "rotate-secret", client_id, "--json") == 0
    assert json.loads(capsys.readouterr().out)["secret"] != first["secret"]
    assert await run(settings, "disable", client_id) == 0
    assert await run(settings, "list") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(client_id))
    assert line.split() == [client_id, "disabled", "Robot", "2"]
    assert await run(settings, "enable", client_id) == 0
    assert await run(settings, "delete", client_id) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"deleted {client_id}"

    assert [row["event"] for row in database.events(client_id)] == [
        "client_created",
        "client_changed",
        "client_secret_changed",
        "client_disabled",
        "client_enabled",
        "client_deleted",
    ]
    assert database.revocations(client_id) == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "A", "--scopes", "items:all"), "scopes.0 must be one of items:read items:write"),
        (("create", "A", "--redirect-uri", "http://a.example/"), "redirect_uris.0 must begin with https://"),
        (("create", "A", "--id", "operator"), "id must not look like a user's id"),
        (("create", "A", "--public"), "A public client has no secret, so it cannot have client_credentials"),
        (("show", "nobody"), "There is no client with this id"),
        (("disable", "nobody"), "There is no client with this id"),
        (("change", "nobody"), "Nothing to change is given"),
    ],
    ids=ascii,
)
async def test_what_cannot_be_done_is_a_sentence_and_1(
    settings: AuthSettings, capsys: Printed, words: tuple[str, ...], sentence: str
) -> None:
    assert await run(settings, *words) == 1

    assert sentence in capsys.readouterr().err


DOCS = ("--scopes", "items:read", "--redirect-uri", CALLBACK, "--first-party")


async def test_ensure_makes_a_public_client_once_and_leaves_one_that_is_as_it_says(
    settings: AuthSettings, database: Database, capsys: Printed
) -> None:
    client_id = some_id()

    for _ in range(3):
        assert await run(settings, "ensure", client_id, "Pages", *DOCS, "--json") == 0
    made = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert made[0]["authentication_method"] == "none"
    assert made[0]["grant_types"] == ["authorization_code"]
    assert [{**each, "secret": None} for each in made] == [made[0]] * 3
    assert [event["event"] for event in database.events(client_id)] == ["client_created"]


async def test_ensure_brings_a_client_up_to_what_it_says_and_never_switches_it_on(
    settings: AuthSettings, database: Database, capsys: Printed
) -> None:
    client_id = some_id()
    assert await run(settings, "ensure", client_id, "Pages", *DOCS) == 0
    assert await run(settings, "disable", client_id) == 0
    capsys.readouterr()

    assert await run(settings, "ensure", client_id, "Pages", *DOCS, "--scopes", "items:write", "--json") == 0
    changed = json.loads(capsys.readouterr().out)

    assert changed["scopes"] == ["items:read", "items:write"]
    assert changed["disabled_at"] is not None
    events = [event["event"] for event in database.events(client_id)]
    assert events == ["client_created", "client_disabled", "client_changed"]


async def test_ensure_takes_no_client_that_has_a_secret(
    settings: AuthSettings, database: Database, capsys: Printed
) -> None:
    client_id = some_id()
    await created(settings, capsys, "Robot", "--id", client_id, "--scopes", "items:read")

    assert await run(settings, "ensure", client_id, "Pages", *DOCS) == 1

    assert "has a secret, so it is another's" in capsys.readouterr().err
    assert [event["event"] for event in database.events(client_id)] == ["client_created"]


async def test_ensure_waits_for_the_database_as_long_as_it_is_told(settings: AuthSettings, capsys: Printed) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://auth:pw@127.0.0.1:1/auth")})

    assert await run(away, "ensure", some_id(), "Pages", *DOCS, "--wait", "1.5") == 1

    said = capsys.readouterr()
    assert said.out.count("not yet: The database does not answer") >= 1
    assert said.err == "The database does not answer.\n"

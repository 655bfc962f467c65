"""The values that the documents tell people to write, and what the chart tells them when it is done."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.chart import ROOT, Chart, merge, variables
from tests.charts.conftest import environment

PASSWORDS = {"database": {"appPassword": "app-secret-value", "ownerPassword": "owner-secret-value"}}
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
OUTSIDE: dict[str, Any] = {
    "postgres": {"deploy": False, "host": "db.example.com", "peers": [{"ipBlock": {"cidr": "203.0.113.5/32"}}]}
}

PROVIDER: dict[str, Any] = {
    "services": {"auth": None, "gateway": {"calls": ["items"]}},
    "tokens": {"jwksUrl": "https://id.example.com/keys", "peers": [{"ipBlock": {"cidr": "203.0.113.10/32"}}]},
}


def values_of(document: str, chapter: str = "") -> dict[str, Any]:
    """The one block of YAML in a document of docs/, or in a chapter of it."""
    text = (ROOT / "docs" / document).read_text()
    if chapter:
        text = text.split(f"\n## {chapter}\n", 1)[1].split("\n## ", 1)[0]
    ((_, block),) = BLOCK.findall(text)
    values: dict[str, Any] = yaml.safe_load(textwrap.dedent(block))
    return values


@pytest.mark.parametrize("name", ["dev", "staging", "production"])
def test_the_service_that_is_added_by_the_book_renders_as_written(chart: Chart, name: str) -> None:
    values = values_of("new-service.md")
    merge(values, {"services": {"notes": PASSWORDS}})

    objects = chart.render(environment(name), values)

    env = variables(objects.one("Deployment", "slipway-notes")["spec"]["template"]["spec"]["containers"][0])
    assert {"AUTH_URL", "STATE_URL"} <= env.keys()
    assert "slipway-notes-database" in objects.kind("Secret")
    assert objects.starting("Job", "slipway-notes-migrate-")


@pytest.mark.parametrize("name", ["dev", "production"])
def test_with_the_secrets_that_operations_names_nothing_has_to_be_made_up(chart: Chart, name: str) -> None:
    objects = chart.render(environment(name), values_of("operations.md", "Secrets, and GitOps"), given=False)

    assert objects.kind("Secret") == {}
    for service in ("items", "auth"):
        assert "slipway-own-" in str(objects.one("Deployment", f"slipway-{service}"))


def test_every_document_that_a_sentence_of_the_chart_names_has_that_chapter() -> None:
    templates = (ROOT / "charts" / "slipway" / "templates").glob("**/*.*")
    named = {pair for file in templates for pair in re.findall(r"\((docs/[\w.]+), ([\w ,]+)\)", file.read_text())}

    assert named
    for document, chapter in named:
        assert f"\n## {chapter}\n" in Path(ROOT / document).read_text()


def test_the_notes_end_with_a_path_that_asks_for_a_token(chart: Chart) -> None:
    notes = chart.notes(environment("dev"))

    assert "curl --include https://slipway.localhost:8443/v1/items\n" in notes
    assert "The last one answers 401" in notes


def test_the_notes_show_the_way_to_the_gateways_pages_where_there_is_one(chart: Chart) -> None:
    without: dict[str, Any] = {"gateway": None, "items": {"public": True}, "auth": {"public": True}}

    assert "at https://slipway.localhost:8443/docs\n" in chart.notes(environment("dev"))
    assert "/docs" not in chart.notes(environment("dev"), {"services": without})


def test_the_notes_say_when_nobody_is_known_to_stand_in_front(chart: Chart) -> None:
    assert "trustedProxies" not in chart.notes(environment("dev"))
    assert "trustedProxies is empty" in chart.notes(environment("dev"), {"trustedProxies": []})


def test_the_notes_tell_how_the_first_administrator_and_a_machine_come_in(chart: Chart) -> None:
    notes = chart.notes(environment("dev"))

    line = "kubectl --namespace slipway exec deploy/slipway-auth -- python -m services.auth"
    assert f"\n  {line} users first-administrator YOU@EXAMPLE.COM\n" in notes
    assert f"\n  {line} clients create " in notes
    assert "https://slipway.localhost:8443/login:" in notes
    outside = chart.notes(environment("production"), PROVIDER)
    assert "services.auth" not in outside


def test_the_notes_promise_no_401_where_nobody_is_known_to_ask(chart: Chart) -> None:
    notes = chart.notes(environment("dev"), {"services": {"items": {"tokens": "none"}}})

    assert "curl --include https://slipway.localhost:8443\n" in notes
    assert "401" not in notes


def test_the_notes_tell_the_administrator_of_an_external_postgres_what_to_do(chart: Chart) -> None:
    notes = chart.notes(environment("dev"), OUTSIDE)

    assert "nobody has made the databases on db.example.com" in notes
    for service in ("items", "auth"):
        assert f"-v service={service} -v slot=a -v bundled=0 -f service.sql" in notes
    assert "nobody has made" not in chart.notes(environment("dev"), OUTSIDE | {
        "postgres": OUTSIDE["postgres"] | {"existingSecret": "administrator"}
    })  # fmt: skip

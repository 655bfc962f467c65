"""The README is true: its promises name tests that exist and run, its settings are those of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from services.auth.settings import AuthSettings, CommandSettings
from services.common.settings import MigrationSettings, ProcessSettings
from services.gateway.settings import GatewaySettings
from services.items.settings import ItemsSettings
from tests.bench import commands

IMAGE_SIZES = r"(?:items|gateway|auth) \| ([\d.]+) \| [\d.]+ \|\n"
ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SETTINGS: tuple[type[ProcessSettings], ...] = (
    ItemsSettings,
    AuthSettings,
    CommandSettings,
    MigrationSettings,
    GatewaySettings,
)


def section(title: str) -> str:
    """The text below one heading of the README."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> Iterator[list[str]]:
    """The cells of the tables below one heading, without heads and rules."""
    for line in section(title).splitlines():
        if line.startswith("|") and not re.match(r"\|[-| ]+\|$", line):
            yield [cell.strip() for cell in line.strip("|").split("|")]


PROMISES = [
    (cells[0], node)
    for cells in rows("Promises, and the tests that prove them")
    for node in re.findall(r"`(tests/\S+)`", cells[-1])
]


def test_there_are_promises() -> None:
    assert len(PROMISES) > 10


@pytest.mark.parametrize(("promise", "node"), PROMISES, ids=[node for _, node in PROMISES])
def test_a_promise_names_a_test_that_runs(promise: str, node: str) -> None:
    file, _, name = node.partition("::")
    assert (ROOT / file).is_file(), f"{promise!r} names {file}, which does not exist"
    functions = {
        item.name: item
        for item in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions, f"{promise!r} names {node}, which does not exist"
    decorators = " ".join(ast.unparse(decorator) for decorator in functions[name].decorator_list)
    assert not re.search(r"\b(skip|skipif|xfail)\b", decorators), f"{node} proves nothing while it is skipped"


def defaults() -> dict[str, str]:
    """Variable to its default as the README prints it: `-` for none, empty for required."""
    return {
        name.upper(): ""
        if field.default is PydanticUndefined
        else str(field.default if field.default not in (None, ()) else "-")
        for cls in reversed(SETTINGS)
        for name, field in cls.model_fields.items()
    }


def test_the_settings_table_has_every_variable_and_its_default() -> None:
    table = {cells[0].strip("`"): cells[1].strip("`") for cells in rows("Configuration") if cells[0].startswith("`")}

    assert table == defaults()


MEASURED = re.compile(r"\d+ min \d+ s\b|\d+(?:\.\d+)? (?:min|minutes|ms|µs|s|MB|MiB|GB|GiB|%|requests)(?![\w/])")
PARAGRAPH = README.split("How long it takes on two cores", 1)[1].split("\n\n", 1)[0]


def test_every_figure_that_the_readme_calls_measured_is_in_docs_numbers() -> None:
    numbers = (ROOT / "docs" / "numbers.md").read_text()
    noted = {one.found for one in commands.read() if f"| {one.what} | {one.found} |" in numbers}
    sizes = {f"{round(float(size))} MiB" for size in re.findall(IMAGE_SIZES, numbers)}

    figures = {" ".join(figure.split()) for figure in MEASURED.findall(PARAGRAPH)}
    assert len(figures) > 5
    assert figures <= noted | sizes


def test_figures_of_time_and_size_stand_only_where_they_are_compared_with_what_was_measured() -> None:
    prose = "\n".join(line for line in README.replace(PARAGRAPH, "").splitlines() if not line.startswith(("|", "    ")))

    assert MEASURED.findall(prose) == []


def test_dashboards_and_alerts_are_as_many_as_the_readme_says() -> None:
    grafana = ROOT / "grafana"
    dashboards = len(list((grafana / "dashboards").glob("*.json")))
    alerts = (grafana / "alerts.yaml").read_text().count("alert: ")

    assert f"{dashboards} dashboards and {alerts} alerts are code" in README


def test_every_target_of_the_makefile_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make ([a-z][a-z0-9-]*)", README)) <= targets


def test_every_relative_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert broken == []

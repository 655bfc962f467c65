"""The chart, as every test of it starts."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts.chart import ENVIRONMENTS, EVERYTHING, Chart, Objects, helm_program
from tests.charts.processes import own

HELM, HELM3 = helm_program("helm"), helm_program("helm3")  # before the environment is emptied
IN_CI = bool(os.environ.get("CI"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder for servers that run as another user, who may not look into pytest's."""
    with tempfile.TemporaryDirectory(prefix="slipway-chart-", ignore_cleanup_errors=True) as name:
        yield own(Path(name))


@pytest.fixture(scope="session")
def chart() -> Chart:
    """The chart under the Helm of `make up`."""
    if HELM is None:
        pytest.fail("There is no helm: `make tools` builds it, HELM=path names one.")
    return Chart(HELM)


@pytest.fixture(scope="session")
def helm3() -> Chart:
    """The chart under Helm 3, which Skaffold speaks."""
    if HELM3 is None:
        sentence = "There is no Helm 3: `python -m k8s.node tool helm3` builds it, HELM3=path names one."
        (pytest.fail if IN_CI else pytest.skip)(sentence)
    return Chart(HELM3)


@pytest.fixture(scope="session")
def dev(chart: Chart) -> Objects:
    """What `make up` installs."""
    return chart.render(ENVIRONMENTS / "dev.yaml")


@pytest.fixture(scope="session", params=["dev", "staging", "production", "everything"])
def rendered(chart: Chart, request: pytest.FixtureRequest) -> Objects:
    """Each environment of the repository, and the values with everything on."""
    return chart.render(environment(request.param))


def environment(name: str) -> Path:
    """The values of an environment, or the ones with everything on."""
    return EVERYTHING if name == "everything" else ENVIRONMENTS / f"{name}.yaml"

"""What the chart makes of the objects that an earlier revision left in the cluster."""

from typing import Any

import pytest

from tests.charts.chart import Chart, Manifest, Objects, Refused
from tests.charts.conftest import environment

DEV = environment("dev")
BASE = "slipway-items-migrate"


def job(name: str, condition: str = "") -> Manifest:
    """A Job as the cluster has it; without a condition it still runs."""
    conditions = [{"type": condition, "status": "True"}] if condition else []
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "status": {"conditions": conditions},
    }


def migration(objects: Objects) -> str:
    """The name of the migration Job."""
    name: str = objects.starting("Job", BASE)["metadata"]["name"]
    return name


@pytest.mark.parametrize("condition", ["", "Complete"])
def test_a_job_that_runs_or_is_done_keeps_its_name(chart: Chart, dev: Objects, condition: str) -> None:
    name = migration(dev)

    assert migration(chart.beside([job(name, condition)], DEV)) == name


def test_a_failed_job_is_tried_again_under_the_name_of_the_revision(chart: Chart, dev: Objects) -> None:
    name = migration(dev)

    rendered = chart.beside([job(name, "Failed"), job("slipway-roles-00000000", "Failed")], DEV)

    assert migration(rendered) == f"{name}-1"
    assert rendered.kind("Job").keys() - {f"{name}-1"} == dev.kind("Job").keys() - {
        name
    }  # the other one has not failed


def test_a_second_try_is_kept_when_it_went_well_and_followed_by_a_third_when_not(chart: Chart, dev: Objects) -> None:
    name = migration(dev)

    assert migration(chart.beside([job(name, "Failed"), job(f"{name}-7", "Complete")], DEV)) == f"{name}-7"
    assert migration(chart.beside([job(f"{name}-7", "Complete")], DEV)) == f"{name}-7"
    assert migration(chart.beside([job(f"{name}-7", "Failed")], DEV)) == f"{name}-1"


def test_helm_3_finds_the_same(helm3: Chart, dev: Objects) -> None:
    name = migration(dev)

    assert migration(helm3.beside([job(name, "Failed")], DEV)) == f"{name}-1"


def stateful(store: str, size: str) -> Manifest:
    """A store whose volume has that size."""
    claim = {"spec": {"resources": {"requests": {"storage": size}}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"slipway-{store}"},
        "spec": {"volumeClaimTemplates": [claim]},
    }


@pytest.mark.parametrize(("store", "size"), [("postgres", "2Gi"), ("state", "1Gi")])
def test_another_size_of_a_volume_is_refused_with_what_to_do(chart: Chart, store: str, size: str) -> None:
    with pytest.raises(Refused) as refused:
        chart.beside([stateful(store, "512Mi")], DEV, f"{store}.storage.size={size}")

    assert f"{store}.storage.size is {size} and the volume has 512Mi" in str(refused.value)
    assert f"grow the claim data-slipway-{store}-0 first" in str(refused.value)


@pytest.mark.parametrize(("before", "now"), [("1Gi", "1Gi"), ("1Gi", "1024Mi"), ("2Ti", "2048Gi")])
def test_the_same_size_in_other_words_is_no_change(chart: Chart, before: str, now: str) -> None:
    chart.beside([stateful("postgres", before)], DEV, f"postgres.storage.size={now}")


def rotated(number: int) -> Manifest:
    """What a release of that rotation leaves behind."""
    annotations = {"slipway/rotation": str(number)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "slipway-roles", "annotations": annotations}}


@pytest.mark.parametrize("number", [0, 5])
def test_a_rotation_that_skips_one_is_refused(chart: Chart, number: int) -> None:
    existing: dict[str, Any] = {"services": {"items": {"database": {"existingSecret": "own"}}}}

    with pytest.raises(Refused, match=f"postgres.rotation is {number} and was 3: .* one by one"):
        chart.beside([rotated(3)], DEV, f"postgres.rotation={number}", existing)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_rotation_goes_one_forth_or_back(chart: Chart, number: int) -> None:
    chart.beside([rotated(3)], DEV, f"postgres.rotation={number}")


def test_the_number_is_left_where_the_next_upgrade_looks(chart: Chart) -> None:
    left = chart.render(DEV, "postgres.rotation=3").one("ConfigMap", "slipway-roles")

    with pytest.raises(Refused, match="was 3"):
        chart.beside([left], DEV)


def test_passwords_are_made_where_they_can_be_kept(chart: Chart) -> None:
    first = chart.beside([], DEV, given=False)

    again = chart.beside(list(first.kind("Secret").values()), DEV, given=False)

    assert first.kind("Secret") == again.kind("Secret")
    assert first.kind("Secret") != chart.beside([], DEV, given=False).kind("Secret")

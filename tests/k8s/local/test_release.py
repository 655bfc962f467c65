"""When helm runs and when it does not, and what a user reads when it fails; kubectl and helm are stand-ins."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8s.local import cluster as clusters
from k8s.local import diagnosis, paths, release
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node.processes import alive
from tests.k8s.local.conftest import Programs

CLUSTER = Cluster("context", "", registry="r:5000", context="team")
TAGS = {"items": "abc", "auth": "def"}
HELM, KUBECTL = "helm --kube-context=team", "kubectl --context=team"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def pods(*statuses: dict[str, Any]) -> str:
    items = [{"metadata": {"name": f"pod-{number}"}, "status": status} for number, status in enumerate(statuses)]
    return json.dumps({"items": items})


def helm_status(status: str, description: str) -> str:
    return json.dumps({"info": {"status": status, "description": description}})


def stamp() -> str:
    return release.fingerprint(release.values(CLUSTER, TAGS))


@pytest.fixture
def tools(programs: Programs) -> Programs:
    """A cluster on which everything is as the last `up` left it."""
    programs.add("kubectl", "helm")
    programs.answer(f"{KUBECTL} -n slipway get pods", pods(READY))
    programs.answer(f"{HELM} status", helm_status("deployed", stamp()))
    return programs


def upgrades(programs: Programs) -> list[list[str]]:
    return [call for call in programs.calls if "upgrade" in call]


def test_helm_does_not_run_when_nothing_changed_and_all_is_ready(tools: Programs) -> None:
    assert release.install(CLUSTER, TAGS, print) is False
    assert upgrades(tools) == []


def test_another_image_runs_helm(tools: Programs) -> None:
    assert release.install(CLUSTER, {**TAGS, "items": "changed"}, print) is True

    (call,) = upgrades(tools)
    assert "--set-string=global.image.tags.items=changed" in call
    assert {"--wait", "--wait-for-jobs", "--install"} <= set(call)


@pytest.mark.parametrize("status", ["failed", "superseded", "uninstalled"])
def test_a_release_that_is_not_in_order_runs_helm_although_nothing_changed(tools: Programs, status: str) -> None:
    tools.answer(f"{HELM} status", helm_status(status, stamp()))

    release.install(CLUSTER, TAGS, print)

    assert upgrades(tools)


def test_a_pod_that_is_not_ready_is_waited_for_by_helm(tools: Programs) -> None:
    tools.answer(f"{KUBECTL} -n slipway get pods", pods(READY, {"phase": "Pending"}))

    release.install(CLUSTER, TAGS, print)

    assert upgrades(tools)


def test_an_edit_of_the_chart_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = tmp_path / "charts" / "slipway"
    chart.mkdir(parents=True)
    (chart / "values.yaml").write_text("a: 1\n")
    values = tmp_path / "dev.yaml"
    values.write_text("b: 1\n")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "CHART", chart)
    monkeypatch.setattr(paths, "VALUES", values)
    seen = {stamp()}

    (chart / "values.yaml").write_text("a: 2\n")
    seen.add(stamp())
    values.write_text("b: 2\n")
    seen.add(stamp())
    (chart / "new.yaml").write_text("")
    seen.add(stamp())

    assert len(seen) == 4


def test_an_operation_whose_helm_was_killed_is_forgotten_first(tools: Programs) -> None:
    kind = f"--kubeconfig={paths.kind_kubeconfig()}"
    tools.answer(f"kubectl {kind} --context=kind-slipway -n slipway get pods", pods(READY))
    tools.answer(f"helm {kind} --kube-context=kind-slipway status", helm_status("pending-upgrade", "Preparing upgrade"))

    release.install(clusters.kind(""), TAGS, print)

    verbs = [" ".join(call) for call in tools.calls]
    deleted = next(
        n for n, call in enumerate(verbs) if "delete secret -l owner=helm,name=slipway,status=pending" in call
    )
    upgraded = next(n for n, call in enumerate(verbs) if " upgrade " in call)
    assert deleted < upgraded


def test_on_somebodys_cluster_another_helm_is_never_cut_off(tools: Programs) -> None:
    tools.answer(f"{HELM} status", helm_status("pending-upgrade", "Preparing upgrade"))

    with pytest.raises(LocalError, match="The release slipway is pending-upgrade: another helm is at work"):
        release.install(CLUSTER, TAGS, print)

    assert not [call for call in tools.calls if "delete" in call or "upgrade" in call]


def test_helm_dies_with_an_up_that_is_killed(tools: Programs, tmp_path: Path) -> None:
    """Else it goes on under the next `up`, which forgets its operation."""
    (tools.bin / "helm").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    code = (
        "import sys; from k8s.local import release; from k8s.local.cluster import Cluster\n"
        "release._helm(Cluster('context', '', context='team'), [], '', print)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=paths.ROOT) as up:
        wait_until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip()))
        helm = int((tmp_path / "pid").read_text())
        assert alive(helm)
        up.kill()

    wait_until(lambda: not alive(helm))
    assert not alive(helm)


def test_a_helm_that_does_not_end_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "END_SECONDS", 0.2)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()

        release._end(stubborn)

        assert stubborn.returncode == -9


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_failed_release_shows_the_pod_its_log_and_the_events_and_ends_in_one_sentence(
    tools: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = {
        "phase": "Pending",
        "containerStatuses": [
            {"name": "items", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}}
        ],
    }
    tools.answer(f"{KUBECTL} -n slipway get pods", pods(READY, stuck))
    tools.answer(f"{KUBECTL} -n slipway logs pod-1", "CURSOR_KEY: Field required")
    tools.answer(f"{KUBECTL} -n slipway get events", "19:00 pod-1 BackOff restarting failed container")
    tools.answer(f"{HELM} upgrade", "Error: context deadline exceeded", code=1)

    with pytest.raises(LocalError) as caught:
        release.install(CLUSTER, TAGS, print)

    shown = capsys.readouterr().out
    assert "Pod pod-1: items CrashLoopBackOff back-off 10s" in shown
    assert "CURSOR_KEY: Field required" in shown
    assert "BackOff restarting failed container" in shown
    assert "pod-0" not in shown
    assert str(caught.value) == (
        f"helm did not finish: Error: context deadline exceeded; its log is {paths.logs() / 'helm.log'}."
    )


def test_a_namespace_of_somebody_else_is_never_deleted(tools: Programs) -> None:
    tools.answer(f"{KUBECTL} get namespace", json.dumps({"metadata": {"name": "slipway", "labels": {}}}))

    with pytest.raises(LocalError, match="left alone"):
        release.uninstall(CLUSTER)

    assert not [call for call in tools.calls if "delete" in call or "uninstall" in call]


def test_the_namespace_that_up_made_goes_with_the_release(tools: Programs) -> None:
    labels = {"app.kubernetes.io/managed-by": "slipway-local"}
    tools.answer(f"{KUBECTL} get namespace", json.dumps({"metadata": {"labels": labels}}))

    release.uninstall(CLUSTER)

    assert [call[2] for call in tools.calls if call[2] in ("uninstall", "delete")] == ["uninstall", "delete"]


def test_a_namespace_of_somebody_else_is_not_changed_either(tools: Programs) -> None:
    tools.answer(f"{KUBECTL} get namespace", json.dumps({"metadata": {"name": "slipway"}}))

    with pytest.raises(LocalError, match="a namespace slipway which `make up` did not make; nothing in it was changed"):
        release.prepare(CLUSTER)

    assert not [call for call in tools.calls if "apply" in call]


def test_the_namespace_enforces_the_restricted_standard(tools: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    del tools
    applied: list[dict[str, Any]] = []
    keep: Callable[..., None] = lambda _cluster, objects: applied.extend(objects)  # noqa: E731
    monkeypatch.setattr(release, "apply", keep)

    release.prepare(CLUSTER)

    namespace, secret = applied
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert secret["metadata"]["name"] == paths.TLS_SECRET
    assert secret["stringData"]["tls.key"].startswith("-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]},
         "pod-0: not scheduled: 0/1 nodes"),
        ({"phase": "Failed", "containerStatuses": [{"name": "migrate", "state": {"terminated": {"exitCode": 3}}}]},
         "pod-0: migrate ended with exit code 3"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}, "pod-0: running, not ready"),
    ],
)  # fmt: skip
def test_each_reason_to_wait_is_told(tools: Programs, status: dict[str, Any], line: str) -> None:
    tools.answer(f"{KUBECTL} -n slipway get pods", pods(status))

    assert diagnosis.pending(CLUSTER, "slipway") == [line]


def test_pods_that_are_done_or_on_their_way_out_are_not_waited_for(tools: Programs) -> None:
    leaving = {"metadata": {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}}
    done = {"metadata": {"name": "job"}, "status": {"phase": "Succeeded"}}
    tools.answer(f"{KUBECTL} -n slipway get pods", json.dumps({"items": [leaving, done]}))

    assert diagnosis.pending(CLUSTER, "slipway") == []


def test_a_run_by_the_clock_that_failed_leaves_the_release_in_order(tools: Programs) -> None:
    labels = {"app.kubernetes.io/component": "auth-cron"}
    failed = {"metadata": {"name": "auth-keys-1", "labels": labels}, "status": {"phase": "Failed"}}
    tools.answer(f"{KUBECTL} -n slipway get pods", json.dumps({"items": [failed]}))

    assert diagnosis.pending(CLUSTER, "slipway") == []

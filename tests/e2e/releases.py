"""Slipway as installed on the cluster: the release of `make up`, and releases that a test may break."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from k8s.local import commands, paths
from tests.e2e import edge
from tests.e2e.kube import Kube, Object
from tests.e2e.pods import directly, execute
from tests.e2e.waiting import ready, report, wait_until

READY_SECONDS = 240
MANAGEMENT_PORT = 9000

SMALL: dict[str, Any] = {
    "defaults": {"autoscaling": {"driver": "none"}, "replicas": 1},
    "services": {
        "auth": {"replicas": 1, "routes": {"/oauth2": {"limits": []}}},
        "items": {"routes": {"/v1/items": {"limits": []}}},
    },
    "observability": {"prometheus": {"kubelet": False}, "kubeStateMetrics": {"enabled": False}},
}
"""What an own release differs in from that of `make up`: nothing scales, so that pods can be counted; the gateway
limits nobody, because all who call here come from one address and some as fast as they can; and nothing of it lies
outside its namespace, with which it goes."""


class HelmError(AssertionError):
    """Helm's last line, and what the namespace looked like."""


class Release:
    """A release that tests look at and use. `host` is the name under which the edge serves it."""

    def __init__(self, kube: Kube, namespace: str, name: str, host: str) -> None:
        self.kube, self.namespace, self.name, self.host = kube, namespace, name, host
        self._machines: dict[str, edge.Machine] = {}

    def labels(self, component: str = "") -> str:
        """The selector of everything of this release, or of one component."""
        mine = f"app.kubernetes.io/instance={self.name}"
        return f"{mine},app.kubernetes.io/component={component}" if component else mine

    def objects(self, kind: str, component: str = "") -> list[Object]:
        """Its objects of a kind, but for what a CronJob makes whenever its time comes."""
        found = self.kube.objects(kind, self.namespace, self.labels(component))
        return [each for each in found if component or kind == "CronJob" or not _by_the_clock(each)]

    def pods(self, component: str = "") -> list[Object]:
        """Its pods that are meant to run: those of Jobs and tests end, and others are on their way out."""
        return [
            pod
            for pod in self.objects("Pod", component)
            if "deletionTimestamp" not in pod["metadata"] and pod["spec"]["restartPolicy"] == "Always"
        ]

    def pod(self, component: str) -> Object:
        """The one pod of a component, once it is ready."""

        def the_one() -> Object | None:
            pods = self.pods(component)
            return pods[0] if len(pods) == 1 and ready(pods[0]) else None

        found = wait_until(f"one pod of {component} is ready", the_one, seconds=90, otherwise=self.report)
        assert found is not None
        return found

    def metric(self, pod: Object, name: str, **labels: str) -> float:
        """The sum of a pod's samples of that name and with these labels."""
        with directly(self.kube, pod, MANAGEMENT_PORT) as management:
            text = management.get("/metrics").raise_for_status().text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def report(self) -> str:
        """What a failure shows."""
        return report(self.kube, self.namespace, self.labels())

    @contextmanager
    def client(self, subject: str = "alice") -> Iterator[httpx2.Client]:
        """A signed-in client that comes in through the edge, once its token is taken.

        The edge may still be learning of the release, and ask pods that are gone: who goes without a drain is missed
        only when a connection comes to nothing. Items may still be learning of the keys of an auth that has just
        started, and auth of a Postgres that is back.
        """
        machine = self.machine(subject)
        with edge.client(self.host) as client:

            def signed_in() -> bool:
                try:
                    if client.get("/.well-known/jwks.json").status_code != 200:
                        return False
                    return edge.sign_in(client, machine).get("/v1/items").status_code == 200
                except httpx2.HTTPStatusError as refused:
                    if refused.response.status_code != 503:
                        raise
                    return False
                except httpx2.TransportError:
                    return False

            wait_until(f"{self.host} answers {subject}", signed_in, seconds=60, otherwise=self.report)
            yield client

    def machine(self, name: str) -> edge.Machine:
        """A client of the release's auth that is called so; with a new secret when an earlier run made it."""
        if name not in self._machines:
            known = [json.loads(line)["id"] for line in self.operate("clients", "list", "--json").splitlines()]
            create = ("create", name, "--id", name, "--scopes", "items:read items:write")
            made = self.operate("clients", *(("rotate-secret", name) if name in known else create), "--json")
            self._machines[name] = (name, json.loads(made)["secret"])
        return self._machines[name]

    def operate(self, *words: str) -> str:
        """What `python -m services.auth words…` prints in a pod that serves."""
        pods = [pod for pod in self.pods("auth") if ready(pod)]
        assert pods, self.report()
        return execute(self.kube, pods[0], "python", "-m", "services.auth", *words)

    def helm(self, *arguments: commands.Argument, text: str | None = None, seconds: float = READY_SECONDS) -> str:
        """Run helm on this namespace; raises HelmError with a report when it fails."""
        command = self.kube.cluster.helm(*arguments, "--namespace", self.namespace)
        result = commands.attempt(*command, text=text, timeout=seconds + 30)
        if result.returncode:
            raise HelmError(f"{' '.join(map(str, arguments[:3]))}: {result.stderr or result.stdout}\n{self.report()}")
        return result.stdout


class OwnRelease(Release):
    """A release in a namespace of the tests: install, change, break, uninstall.

    `development` are the helm arguments that `make up` gives for values and images.
    """

    def __init__(self, kube: Kube, namespace: str, name: str, development: Sequence[str]) -> None:
        super().__init__(kube, namespace, name, f"{name}.{namespace}.localhost")
        self.development = development
        self.values = merged(SMALL, {"origin": f"https://{self.host}:{paths.HTTPS_PORT}"})

    def upgrade(self, values: Mapping[str, Any] | None = None, *, seconds: int = READY_SECONDS) -> None:
        """Install or upgrade with `values` laid over its own, and wait for pods and Jobs."""
        text = json.dumps(merged(self.values, values or {}))
        self.helm(
            "upgrade", "--install", self.name, paths.CHART, *self.development, "--values=-",
            "--wait", "--wait-for-jobs", f"--timeout={seconds}s", text=text, seconds=seconds,
        )  # fmt: skip
        wait_until("all that was replaced is gone", self._settled, seconds=90, otherwise=self.report)

    @contextmanager
    def changed(self, values: Mapping[str, Any]) -> Iterator[None]:
        """The release with other values for a while."""
        self.upgrade(values)
        try:
            yield
        finally:
            self.upgrade()

    def _settled(self) -> bool:
        """Whether no pod is on its way out: the next test counts those that stay."""
        return all("deletionTimestamp" not in pod["metadata"] for pod in self.objects("Pod"))

    def uninstall(self) -> None:
        """Remove the release and wait until its pods are gone."""
        self.helm("uninstall", self.name, "--wait", "--timeout=120s")
        wait_until(
            f"no pod of {self.name} is left", lambda: not self.objects("Pod"), seconds=120, otherwise=self.report
        )


def _by_the_clock(obj: Object) -> bool:
    component: str = obj["metadata"].get("labels", {}).get("app.kubernetes.io/component", "")
    return component.endswith("-cron")


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Values as helm merges them: maps key by key, everything else by the last layer."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result

"""The chart rendered by the real Helm, as objects that tests can look into."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8s.node import tools
from tests.charts.cluster import serving

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "slipway"
ENVIRONMENTS = ROOT / "k8s" / "environments"
GIVEN = Path(__file__).parent / "given.yaml"
"""Every secret given: without a cluster there is nowhere to look for one made before."""
EVERYTHING = Path(__file__).parent / "everything.yaml"
"""Every key of the values that can be set at once, set."""
RENDER_SECONDS = 180
KUBERNETES = "1.37.0"
"""A Helm built from source takes itself for one of a very old cluster."""
SELECTOR = ["app.kubernetes.io/component", "app.kubernetes.io/instance", "app.kubernetes.io/name"]
"""The labels by which pods are found, and the only ones that they carry."""

Manifest = dict[str, Any]


def helm_program(name: str = "helm") -> Path | None:
    """HELM (or HELM3) of the environment, else the node's, else for version 4 the one on PATH."""
    given = os.environ.get(name.upper()) or _built(name)
    found = given or (shutil.which("helm") if name == "helm" else None)
    return Path(found) if found else None


def _built(name: str) -> Path | None:
    program = tools.folder(tools.ALL[name].module) / name
    return program if program.exists() else None


class Refused(Exception):  # noqa: N818 - it is what the chart answers, not a fault of the test
    """Helm did not render; the text is its sentence."""


@dataclass(frozen=True)
class Chart:
    """The chart with a Helm to render it."""

    helm: Path

    def render(
        self, *values: str | Path | Mapping[str, Any], release: str = "slipway", given: bool = True
    ) -> "Objects":
        """Render with values: paths of files, `key=value` strings as of --set, or mappings, later ones winning.

        Raises Refused when Helm does not render.
        """
        return Objects(documents(self.text(*values, release=release, given=given)))

    def beside(
        self, left: Sequence[Manifest], *values: str | Path | Mapping[str, Any], given: bool = True
    ) -> "Objects":
        """Render against a cluster in which the release left these objects."""
        with serving([with_owner(o) for o in left]) as address:
            # without a real API there is nothing to validate against; other tests do
            flags = ["--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", address]
            return Objects(documents(self.text(*values, given=given, flags=flags)))

    def text(
        self,
        *values: str | Path | Mapping[str, Any],
        release: str = "slipway",
        given: bool = True,
        flags: Sequence[str] = (),
    ) -> str:
        """What `helm template` prints."""
        command = [str(self.helm), "template", release, str(CHART), "--namespace", "slipway"]
        return self._run([*command, "--kube-version", KUBERNETES, *flags], values, given=given)

    def notes(self, *values: str | Path | Mapping[str, Any], given: bool = True) -> str:
        """What `helm install` would tell the user at its end."""
        command = [str(self.helm), "install", "slipway", str(CHART), "--namespace", "slipway", "--dry-run=client"]
        return self._run(command, values, given=given).split("\nNOTES:\n")[1]

    def _run(self, command: list[str], values: Sequence[str | Path | Mapping[str, Any]], *, given: bool) -> str:
        given_here = []
        for value in [*([GIVEN] if given else []), *values]:
            match value:
                case Path():
                    command += ["--values", str(value)]
                case str():
                    command += ["--set", value]
                case _:
                    given_here.append(yaml.safe_dump(dict(value)))
        if len(given_here) > 1:
            raise ValueError("one mapping is enough")
        if given_here:
            command += ["--values", "-"]
        done = subprocess.run(
            command, input="".join(given_here), capture_output=True, text=True, timeout=RENDER_SECONDS, check=False
        )
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout


def documents(text: str) -> Iterator[Manifest | None]:
    """The YAML documents of a text, read by libyaml: ten times as fast as in Python, on text of 170 KB a rendering."""
    read: Iterator[Manifest | None] = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return read


class Objects(list[Manifest]):
    """The rendered objects."""

    def __init__(self, documents: Iterable[Manifest | None]) -> None:
        super().__init__(document for document in documents if document)

    def kind(self, kind: str) -> dict[str, Manifest]:
        """All objects of a kind by name."""
        return {o["metadata"]["name"]: o for o in self if o["kind"] == kind}

    def one(self, kind: str, name: str) -> Manifest:
        """The object of that kind and name."""
        return self.kind(kind)[name]

    def starting(self, kind: str, prefix: str) -> Manifest:
        """The one object of the kind whose name begins so."""
        (found,) = (o for name, o in self.kind(kind).items() if name.startswith(prefix))
        return found

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """(kind/name of the owner, pod template) for all that makes pods; a Pod is its own template."""
        for o in self:
            name = f"{o['kind']}/{o['metadata']['name']}"
            if o["kind"] == "Pod":
                yield name, o
            elif o["kind"] == "CronJob":
                yield name, o["spec"]["jobTemplate"]["spec"]["template"]
            elif "template" in o.get("spec", {}):
                yield name, o["spec"]["template"]


def with_owner(left: Manifest) -> Manifest:
    """The object with what Helm takes for its own."""
    annotations = {f"meta.helm.sh/release-{key}": "slipway" for key in ("name", "namespace")}
    metadata = {"namespace": "slipway", "labels": {}, "annotations": {}} | left["metadata"]
    metadata["labels"] = metadata["labels"] | {"app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = metadata["annotations"] | annotations
    return left | {"metadata": metadata}


def containers(pod: Manifest) -> list[Manifest]:
    """All containers of a pod template, those that run first included."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def variables(container: Manifest) -> dict[str, str | None]:
    """The environment of a container; what comes from a Secret is None."""
    return {v["name"]: v.get("value") for v in container.get("env", [])}


def nested(path: str, value: object) -> dict[str, Any]:
    """`a.b` and 1 as {"a": {"b": 1}}."""
    *outer, last = path.split(".")
    result: dict[str, Any] = {last: value}
    for key in reversed(outer):
        result = {key: result}
    return result


def merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    """Lay more over values, map by map."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value

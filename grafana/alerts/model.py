"""What an alert is, and how it is proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BY = "namespace, service"
OURS = "and on (namespace) slipway:slo_objective:ratio"
"""Only namespaces with a release: what Kubernetes tells comes from the whole cluster."""


@dataclass(frozen=True)
class Proof:
    """Series of a minute's step, in promtool's words; quiet at `fires` - 1 and firing at `fires` minutes."""

    series: Mapping[str, str]
    fires: int
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the alert that fires, without alertname and severity."""


@dataclass(frozen=True)
class Alert:
    """One rule. Its runbook is docs/runbooks/<name>.md."""

    name: str
    expr: str
    minutes: int
    """True for so long before it fires."""
    severity: Literal["critical", "warning"]
    """critical: somebody is woken; warning: somebody looks on the next working day."""
    summary: str
    proof: Proof


@dataclass(frozen=True)
class Record:
    """One recording rule."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


def share(part: str, whole: str) -> str:
    """A share of counters by service, 0 where the part has no series yet."""
    return f"(sum by ({BY}) ({part}) or 0 * sum by ({BY}) ({whole})) / (sum by ({BY}) ({whole}) > 0)"


def labels(service: str, **more: str) -> dict[str, str]:
    """Of a target of the proof."""
    return {"namespace": "slipway", "service": service, **more}


def series(metric: str, service: str = "items", **more: str) -> str:
    """A series of the proof, of one pod of a service."""
    given = labels(service, **more)
    return metric + "{" + ", ".join(f'{name}="{value}"' for name, value in given.items()) + "}"

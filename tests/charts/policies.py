"""Who may speak to whom under the rendered NetworkPolicies, by the rules of networking.k8s.io/v1."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod of some namespace; policies see only its labels."""

    labels: dict[str, str]
    namespace: str = "slipway"


@dataclass(frozen=True)
class Address:
    """Somebody outside the cluster."""

    ip: str


@dataclass
class Network:
    """All policies of the release's namespace."""

    policies: Sequence[Manifest]
    namespace: str = "slipway"
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)

    def allows(self, source: Pod | Address, target: Pod | Address, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection passes both the source's egress and the target's ingress."""
        return self.lets_out(source, target, port, protocol) and self.lets_in(target, source, port, protocol)

    def lets_out(self, source: Pod | Address, target: Pod | Address, port: int, protocol: str = "TCP") -> bool:
        """Whether the source's side alone would allow it."""
        return self._passes("Egress", source, target, port, protocol)

    def lets_in(self, target: Pod | Address, source: Pod | Address, port: int, protocol: str = "TCP") -> bool:
        """Whether the target's side alone would allow it."""
        return self._passes("Ingress", target, source, port, protocol)

    def _passes(self, direction: str, pod: Pod | Address, peer: Pod | Address, port: int, protocol: str) -> bool:
        if not isinstance(pod, Pod) or pod.namespace != self.namespace:
            return True  # these policies say nothing about others
        selecting = [
            p["spec"]
            for p in self.policies
            if direction in p["spec"]["policyTypes"] and _selects(p["spec"]["podSelector"], pod.labels)
        ]
        rules = [rule for spec in selecting for rule in spec.get(direction.lower()) or []]
        return not selecting or any(
            self._peer_matches(rule, direction, peer) and _port_matches(rule, port, protocol) for rule in rules
        )

    def _peer_matches(self, rule: Manifest, direction: str, peer: Pod | Address) -> bool:
        peers = rule.get("from" if direction == "Ingress" else "to")
        return not peers or any(self._is(described, peer) for described in peers)  # none named: everybody

    def _is(self, described: Manifest, peer: Pod | Address) -> bool:
        if isinstance(peer, Address):
            return "ipBlock" in described and _in_block(described["ipBlock"], peer.ip)
        if "ipBlock" in described:
            return False  # pods have addresses too, but no rule of ours may count on them
        if "namespaceSelector" in described:
            own = {"kubernetes.io/metadata.name": peer.namespace}
            labels = self.namespace_labels.get(peer.namespace, {}) | own
            in_namespace = _selects(described["namespaceSelector"], labels)
        else:
            in_namespace = peer.namespace == self.namespace
        return in_namespace and _selects(described.get("podSelector", {}), peer.labels)


def _selects(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _holds(expression: Manifest, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _in_block(block: Manifest, ip: str) -> bool:
    address = ip_address(ip)
    return address in ip_network(block["cidr"]) and not any(
        address in ip_network(hole) for hole in block.get("except", [])
    )


def _port_matches(rule: Manifest, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        p.get("protocol", "TCP") == protocol and ("port" not in p or p["port"] <= port <= p.get("endPort", p["port"]))
        for p in ports
    )

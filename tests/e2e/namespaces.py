"""Namespaces of the tests: under the restricted standard, and gone at the end."""

import secrets
from collections.abc import Callable

from k8s.local import certificates, paths
from k8s.local.release import RESTRICTED
from tests.e2e.kube import Kube
from tests.e2e.waiting import report, wait_until

MINE = {"app.kubernetes.io/managed-by": "slipway-e2e"}
DELETE_SECONDS = 150

MakeNamespace = Callable[[str], str]
"""Makes a namespace; the argument is what for, in one word."""


def make(kube: Kube, purpose: str) -> str:
    """A new namespace with the edge's certificate in it; its name."""
    name = f"e2e-{purpose}-{secrets.token_hex(3)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": MINE | RESTRICTED}})
    certificate, key = certificates.ensure(paths.state())
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": paths.TLS_SECRET, "namespace": name},
            "stringData": {"tls.crt": certificate.read_text(), "tls.key": key.read_text()},
        }
    )
    return name


def delete_all(kube: Kube) -> None:
    """Delete every namespace of the tests, those of a killed run as well, and wait until they are gone."""
    labels = ",".join(f"{key}={value}" for key, value in MINE.items())
    names = [namespace["metadata"]["name"] for namespace in kube.objects("Namespace", labels=labels)]
    for name in names:
        kube.delete("Namespace", name)
    for name in names:
        wait_until(
            f"the namespace {name} is gone",
            lambda name=name: not kube.exists("Namespace", name),  # type: ignore[misc]  # bound now: the loop goes on
            seconds=DELETE_SECONDS,
            otherwise=lambda name=name: report(kube, name),  # type: ignore[misc]
        )

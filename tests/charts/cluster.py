"""As much of a Kubernetes API as `lookup` asks for: objects that a release left there, over HTTP, to be read only."""

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Manifest = dict[str, Any]

RESOURCES = {
    "/api/v1": ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"],
    "/apis/apps/v1": ["Deployment", "StatefulSet"],
    "/apis/autoscaling/v2": ["HorizontalPodAutoscaler"],
    "/apis/batch/v1": ["CronJob", "Job"],
    "/apis/gateway.networking.k8s.io/v1": ["HTTPRoute"],
    "/apis/networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "/apis/policy/v1": ["PodDisruptionBudget"],
    "/apis/rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
}
"""By root of the API: every kind that the chart has or looks up."""
PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}
VERSION = {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}


@contextmanager
def serving(objects: Iterable[Manifest], namespace: str = "slipway") -> Generator[str]:
    """The address of an API in which these objects are, all in one namespace."""
    answers = documents(list(objects), namespace)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.split("?")[0])
            body = json.dumps(answer or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
            self.send_response(HTTPStatus.OK if answer else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Keep silent: a failing test shows Helm's sentence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def documents(objects: list[Manifest], namespace: str) -> dict[str, Manifest]:
    """Every answer by its path: which kinds there are, their lists, and each object."""
    groups = [root.split("/")[2:] for root in RESOURCES if root.startswith("/apis/")]
    found: dict[str, Manifest] = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(*each) for each in groups]},
    }
    for root, kinds in RESOURCES.items():
        version = "/".join(root.split("/")[2:])
        found[root] = {"kind": "APIResourceList", "groupVersion": version, "resources": []}
        for kind in kinds:
            plural = PLURALS.get(kind, f"{kind.lower()}s")
            namespaced = not kind.startswith("Cluster")
            verbs = ["get", "list"]
            described = {"name": plural, "kind": kind, "namespaced": namespaced, "verbs": verbs, "singularName": ""}
            found[root]["resources"].append(described)
            place = f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"
            items = [o for o in objects if o["kind"] == kind]
            found[place] = {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}
            found |= {f"{place}/{o['metadata']['name']}": o for o in items}
    return found


def group(name: str, version: str) -> Manifest:
    """A group of the API with its one version."""
    known = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [known], "preferredVersion": known}

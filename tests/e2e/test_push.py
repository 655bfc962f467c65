"""A stranger's cluster: `make push` to its registry, then the printed line, and nothing of `make up`."""

import json
import os
import secrets
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from k8s.local import paths
from tests.e2e import edge
from tests.e2e.kube import Kube, Object
from tests.e2e.namespaces import MakeNamespace
from tests.e2e.pods import directly, start
from tests.e2e.releases import Release
from tests.e2e.waiting import report, wait_until
from tests.support.tokens import Issuer

pytestmark = pytest.mark.e2e

PUSH_SECONDS, INSTALL_SECONDS = 600, 300
PROVIDER = "identity-provider"
SERVE = """
import http.server, os
class Keys(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(os.environ["KEYS"].encode())
http.server.ThreadingHTTPServer(("", 8000), Keys).serve_forever()
"""


def test_the_printed_line_installs_the_pushed_images_on_another_cluster(
    kube: Kube, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    if not kube.cluster.registry:
        pytest.skip("kind has no registry to push to: images are loaded into its node")
    registry, tag = f"{kube.cluster.registry}/stranger", f"e2e-{secrets.token_hex(4)}"
    namespace = make_namespace("stranger")
    release = Release(kube, namespace, paths.RELEASE, f"{namespace}.localhost")

    line = push(registry, tag)
    provider = Issuer(issuer=f"https://{release.host}")
    publish_keys(kube, namespace, f"{registry}/slipway/items:{tag}", provider)
    values = tmp_path / "ours.json"
    values.write_text(json.dumps(our_values(release.host, namespace)))
    install(kube, [*line, "--values", str(values)], namespace)

    items = release.pod("items")
    assert items["spec"]["containers"][0]["image"] == f"{registry}/slipway/items:{tag}"
    with directly(kube, release.pod("gateway"), 8000) as client:
        assert client.get("/v1/items").status_code == 401

        def created() -> bool:
            answer = client.post("/v1/items", json=edge.make_item(), headers=provider.headers())
            # The gateway asks every two seconds which pods there are, and those of items have just become ready.
            assert answer.status_code in {201, 503}, answer.text
            return answer.status_code == 201

        wait_until("the gateway knows the pods of items", created, seconds=30, otherwise=release.report)


def push(registry: str, tag: str) -> list[str]:
    """`make push`, and the words of the command that it prints."""
    result = subprocess.run(
        ["make", "--no-print-directory", "push", f"REGISTRY={registry}", f"TAG={tag}"],
        cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=PUSH_SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    printed = result.stdout[result.stdout.index("helm upgrade") :]
    return shlex.split(printed.split("\n\n")[0].replace("\\\n", " "))


def install(kube: Kube, line: list[str], namespace: str) -> None:
    """Run the printed line as it is, but for the namespace, in a shell whose current cluster is this one."""
    line[line.index("--namespace") + 1] = namespace
    program, *arguments = line
    assert program == "helm"
    environment = {"KUBECONFIG": kube.cluster.kubeconfig}
    result = subprocess.run(
        [str(kube.cluster.tool("helm")), *arguments], cwd=paths.ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, f"{result.stderr}\n{report(kube, namespace)}"


def publish_keys(kube: Kube, namespace: str, image: str, provider: Issuer) -> Object:
    """Somebody's identity provider: its keys, served by a pod and a Service that are no part of the release."""
    metadata = {"name": PROVIDER, "namespace": namespace}
    spec = {"selector": {"app.kubernetes.io/name": PROVIDER}, "ports": [{"port": 8000}]}
    kube.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    keys = {"KEYS": json.dumps(provider.jwks())}
    return start(kube, namespace, PROVIDER, image, command=["python", "-c", SERVE], environment=keys)


def our_values(host: str, namespace: str) -> dict[str, Any]:
    """What a stranger changes in the example for production: addresses, and sizes that fit this machine."""
    small = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}
    return {
        "origin": f"https://{host}",
        "tokens": {
            "issuer": f"https://{host}",
            "jwksUrl": f"http://{PROVIDER}.{namespace}.svc:8000/.well-known/jwks.json",
            "peers": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": PROVIDER}}}],
        },
        "global": {"image": {"pullSecrets": []}},
        "services": {
            "auth": None,
            "gateway": {
                "calls": ["items"],
                "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
                "resources": small,
            },
            "items": {
                "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
                "resources": small,
            },
        },
        "ingress": {"annotations": {"cert-manager.io/cluster-issuer": ""}, "tls": {"secretName": paths.TLS_SECRET}},
        "postgres": {
            "parameters": {"shared_buffers": "64MB", "effective_cache_size": "128MB"},
            "resources": small,
            "storage": {"size": "1Gi"},
        },
        "cache": {"maxMemory": "64mb", "resources": small},
        "mail": {"mailer": "none"},
        "state": {"maxMemory": "64mb", "resources": small, "storage": {"size": "256Mi"}},
    }

"""The release's own Prometheus through a port of loopback: to look at it, or to ask it from a program."""

import os
import re
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from k8s.local import cluster as clusters
from k8s.local import commands, paths
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node.commands import dying_with_us

PORT = 9090
START_SECONDS, END_SECONDS = 20, 5
SERVICE = f"{paths.RELEASE}-prometheus"
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


def prometheus(command: Sequence[str]) -> int:
    """Run the command with PROMETHEUS set to its URL; without one, stay until Ctrl-C. Raises LocalError."""
    cluster = clusters.choose()
    if not is_there(cluster):
        raise LocalError(
            f"There is no {SERVICE} in {paths.NAMESPACE}: `make up` brings it while observability.bundled is on in "
            f"{paths.VALUES.relative_to(paths.ROOT)}; for another one set PROMETHEUS=URL."
        )
    with forwarded(cluster, 0 if command else PORT) as url:
        if command:
            return subprocess.run(command, env={**os.environ, "PROMETHEUS": url}, check=False).returncode
        print(f"Prometheus is at {url}; alerts at {url}/alerts; Ctrl-C ends it.", flush=True)
        while True:
            time.sleep(1)


def is_there(cluster: Cluster) -> bool:
    """Whether the release has one."""
    found = cluster.kubectl("-n", paths.NAMESPACE, "get", "service", SERVICE, "--ignore-not-found", "-o", "name")
    return bool(commands.run(*found).strip())


@contextmanager
def forwarded(
    cluster: Cluster, port: int, *, namespace: str = paths.NAMESPACE, service: str = SERVICE
) -> Generator[str]:
    """Its URL on loopback for as long as the block lasts; port 0 is any. Raises LocalError with kubectl's words."""
    words = cluster.kubectl("-n", namespace, "port-forward", f"service/{service}", f"{port or ''}:{PORT}")
    process = subprocess.Popen(
        list(map(str, dying_with_us(words))), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield f"http://127.0.0.1:{_port(process)}"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()
        process.communicate()  # reaps it, and closes its pipe


def _port(process: "subprocess.Popen[str]") -> int:
    """What kubectl says that it listens on; it ends by itself when it cannot."""
    deadline, said = time.monotonic() + START_SECONDS, ""
    assert process.stdout is not None  # noqa: S101 - asked for above
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if found := _FORWARDING.search(line):
            return int(found[1])
        if not line:
            break
        said += line
    raise LocalError(f"kubectl does not forward to Prometheus: {said.strip() or 'it says nothing'}")

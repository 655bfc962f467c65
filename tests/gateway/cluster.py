"""Pods and a gateway in processes of their own: each pod at an address of its own, the names in a file."""

import asyncio
import json
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support.processes import Process, service_process, wait_until_ready
from tests.support.servers import free_port
from tests.support.tokens import ISSUER


@dataclass
class Cluster:
    """Starts and ends pods, and says which of them the name stands for."""

    stack: ExitStack
    dns: Path
    port: int
    pods: dict[str, Process]
    gateway: Process

    def start(self, *hosts: str, known: bool = True) -> None:
        """Start pods; they are in DNS unless said otherwise."""
        for host in hosts:
            self.pods[host] = self.stack.enter_context(pod_process(host, self.port))
        if known:
            self.know(*self.pods)

    def know(self, *hosts: str) -> None:
        """Let the name stand for these."""
        new = self.dns.with_suffix(".new")
        new.write_text("\n".join(hosts))
        new.rename(self.dns)

    def sample(self, name: str, **labels: str) -> float:
        """One number of the gateway's metrics; 0 where it is missing."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in httpx2.get(f"{self.gateway.management_url}/metrics", timeout=30).text.splitlines():
            found, _, value = line.rpartition(" ")
            if found.partition("{")[0] == name and wanted <= set(found.rstrip("}").partition("{")[2].split(",")):
                return float(value)
        return 0

    async def ask(
        self, count: int, *, connections: int = 10, method: str = "GET", path: str = "/v1/pod"
    ) -> Counter[str]:
        """What so many requests over kept connections got: the pod's address, or the status when it is no 200."""
        answers: Counter[str] = Counter()
        rest = iter(range(count))
        await asyncio.gather(*(self._ask(rest, answers, method, path) for _ in range(connections)))
        return answers

    async def _ask(self, rest: object, answers: Counter[str], method: str, path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        for _ in rest:  # type: ignore[attr-defined] # shared by all connections
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
            status, body = await read_answer(reader)
            answers[body.decode() if status == 200 else str(status)] += 1
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of an answer with a length."""
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)


@contextmanager
def pod_process(host: str, port: int) -> Generator[Process]:
    """One pod, ready."""
    env = {"HOST": host, "PORT": str(port), "LOG_LEVEL": "WARNING", "DRAIN_SECONDS": "1"}
    with service_process("tests.gateway.pod", env, wait_ready=False) as process:
        management = f"http://{host}:{process.management_port}"
        wait_until_ready(management, process.popen, lambda: process.log)
        yield process


@contextmanager
def cluster(
    dns: Path, jwks_url: str, hosts: tuple[str, ...] = (), *, route: Mapping[str, object] | None = None, **env: str
) -> Generator[Cluster]:
    """A gateway in front of these pods."""
    port = free_port()
    route = {"upstream": f"http://pods.test:{port}", "public": True, "limits": [], **(route or {})}
    settings = {
        "ROUTES": json.dumps({"/v1/pod": route}),
        "DNS_FILE": str(dns),
        "ISSUER": ISSUER,
        "AUDIENCE": "slipway",
        "JWKS_URL": jwks_url,
        "RESOLVE_SECONDS": "0.2",
        "DOCUMENTS_SECONDS": "0",
        "LOG_LEVEL": "WARNING",
        **env,
    }
    dns.write_text("")
    with ExitStack() as stack:
        pods = {host: stack.enter_context(pod_process(host, port)) for host in hosts}
        dns.write_text("\n".join(hosts))
        gateway = stack.enter_context(service_process("tests.gateway.standing", settings))
        yield Cluster(stack, dns, port, pods, gateway)

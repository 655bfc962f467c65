"""The collector of the local cluster: takes what the exporters send, prints a request as a tree, bounds its memory."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI

from k8s.local import traces
from k8s.local.errors import LocalError
from k8s.monitoring.trace_collector import MAX_BODY_BYTES, Collector, Span, Store, trees
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(("127.0.0.1", 0), Store()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_address[1]}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    return create_app(SampleSettings())


def shown(collector: Collector, wanted: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(traces.FILE), "--port", str(collector.server_address[1]), "show", wanted]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


async def test_a_request_is_found_by_its_trace_and_by_its_own_id(collector: Collector, traced: FastAPI) -> None:
    async with app_client(traced) as client:
        answer = await client.get("/v1/sample/ping", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    request_id = answer.headers["x-request-id"]
    for wanted in (TRACE, TRACE[:10].upper(), request_id):
        said = shown(collector, wanted)
        assert said.returncode == 0, said.stderr
        first, second = said.stdout.splitlines()
        assert first == f"trace {TRACE}  request {request_id}"
        assert second.split()[:3] == ["sample", "GET", "/v1/sample/ping"]
        assert second.endswith("ms  200")


async def test_what_is_not_there_is_said_with_what_is(collector: Collector, traced: FastAPI) -> None:
    async with app_client(traced) as client:
        await client.get("/v1/sample/ping")

    said = shown(collector, "ffffffffffffffff")
    assert said.returncode == 1
    assert "No span of ffffffffffffffff is here" in said.stderr
    assert "sample GET /v1/sample/ping" in said.stderr


def test_children_stand_below_their_parent_in_the_order_of_their_begin() -> None:
    def span(name: str, own: str, parent: str, start: int) -> Span:
        times = {"start": start, "end": start + 2_500_000}
        return {"service": "items", "name": name, "trace": TRACE, "id": own, "parent": parent, **times,
                "failed": name == "SELECT", "attributes": {}}  # fmt: skip

    spans = [span("SELECT", "c", "a", 3), span("SET", "b", "a", 2), span("GET /", "a", "elsewhere", 1)]

    said = [" ".join(line.split()) for line in trees(spans).splitlines()]
    assert said[1:] == ["items GET / 2.50 ms", "items SET 2.50 ms", "items SELECT 2.50 ms FAILED"]


def test_the_oldest_spans_give_way() -> None:
    store = Store(kept=2)
    store.add({"trace": f"{n:032x}", "id": str(n), "parent": "", "attributes": {}} for n in range(5))

    assert [span["id"] for span in store.newest()] == ["4", "3"]


async def test_what_is_no_otlp_is_refused(collector: Collector) -> None:
    url = f"http://127.0.0.1:{collector.server_address[1]}"
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        assert (await client.post("/v1/traces", content=b"\xff\xff")).status_code == 400
        assert (await client.post("/v1/traces", content=b"x", headers={"Content-Encoding": "gzip"})).status_code == 400
        assert (await client.post("/elsewhere", content=b"")).status_code == 404

    reader, writer = await asyncio.open_connection("127.0.0.1", collector.server_address[1])
    writer.write(f"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        assert b" 413 " in await reader.readline()
    writer.close()


def test_its_objects_meet_the_restricted_standard_and_the_release_may_reach_them() -> None:
    objects = {one["kind"]: one for one in traces.objects("registry.test/slipway/items:1")}
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    peers = json.loads(next(v for v in traces.values() if "peers" in v).partition("peers=")[2])
    assert peers == [{"podSelector": objects["NetworkPolicy"]["spec"]["podSelector"]}]
    compile(objects["ConfigMap"]["data"]["trace_collector.py"], "trace_collector.py", "exec")


@pytest.mark.parametrize("wanted", ["", "short", "a;b c d e f g", "$(reboot)xxxx"])
def test_what_is_no_id_is_refused_before_anything_is_asked(wanted: str) -> None:
    with pytest.raises(LocalError, match="ID is missing or no id"):
        traces.trace(wanted)

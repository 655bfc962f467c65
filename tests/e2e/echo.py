"""A service that says what it saw: a pod with the labels of a service, behind the gateway of a test's own release.

The release has an entry for it without pods; the pod's program comes with it, in an image that is there anyway.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.kube import Object
from tests.e2e.pods import start
from tests.e2e.releases import OwnRelease

NAME = "echo"
PATH = "/v1/echo"
SERVE = """
import asyncio, json, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
go_on = asyncio.Event()

async def say(request):
    size = 0
    async for part in request.stream():
        size += len(part)
    return JSONResponse({"bytes": size, "headers": dict(request.headers), "host": request.client.host})

async def events(request):
    async def told():
        yield "data: first\\n\\n"
        await go_on.wait()
        go_on.clear()
        yield "data: second\\n\\n"
    return StreamingResponse(told(), media_type="text/event-stream")

async def let(request):
    go_on.set()
    return JSONResponse({})

async def talk(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text.upper())

routes = [
    Route("/v1/echo", say, methods=["GET", "POST"]),
    Route("/v1/echo/events", events),
    Route("/v1/echo/let", let, methods=["POST"]),
    WebSocketRoute("/v1/echo/ws", talk),
]
uvicorn.run(Starlette(routes=routes), host="0.0.0.0", port=8000, timeout_keep_alive=120)
"""


def values(calls: list[str]) -> dict[str, Any]:
    """Values with a public path of echo behind the gateway, which calls it beside `calls`."""
    entry = {
        "paths": [PATH],
        "routes": {PATH: {"public": True, "limits": []}},
        "autoscaling": {"driver": "none"},
        "replicas": 0,
    }
    return {"services": {NAME: entry, "gateway": {"calls": [*calls, NAME]}}}


@contextmanager
def running(release: OwnRelease) -> Iterator[Object]:
    """The pod, for as long as the block lasts."""
    image = release.pod("items")["spec"]["containers"][0]["image"]
    labels = {"app.kubernetes.io/name": "slipway", "app.kubernetes.io/instance": release.name}
    command = ["python", "-c", SERVE]
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    pod = start(
        release.kube, release.namespace, NAME, image, environment={}, command=command, readinessProbe=probe,
        labels={**labels, "app.kubernetes.io/component": NAME},
    )  # fmt: skip
    try:
        yield pod
    finally:
        release.kube.delete("Pod", NAME, release.namespace)

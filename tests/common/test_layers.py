"""Where the layers of a service's own stand."""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.app import create_service
from services.common.settings import ServiceSettings
from tests.support.clients import app_client


class Stamp:
    """Adds a header to every answer that passes."""

    def __init__(self, app: ASGIApp, *, name: bytes) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((self.name, b"seen " + scope["method"].encode()))
            await send(message)

        await self.app(scope, receive, stamped)


async def test_the_edge_sees_what_is_refused_before_the_routes_and_the_inner_layers_do_not() -> None:
    app = create_service(
        ServiceSettings(max_body_bytes=1),
        title="Layers",
        routers=[],
        edge=[Middleware(Stamp, name=b"x-edge")],
        inner=[Middleware(Stamp, name=b"x-inner")],
    )
    async with app_client(app) as client:
        refused = await client.post("/", content=b"two")
        passed = await client.head("/nowhere")

    assert (refused.status_code, refused.headers.get("x-edge"), refused.headers.get("x-inner")) == (
        413,
        "seen POST",
        None,
    )
    # HEAD is still HEAD there, and becomes GET for the routes only
    assert (passed.status_code, passed.headers["x-edge"], passed.headers["x-inner"]) == (404, "seen HEAD", "seen HEAD")

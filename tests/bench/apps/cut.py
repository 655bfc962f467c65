"""`python -m tests.bench.apps.cut serve`: items or the gateway with layers taken out, for what each of them costs.

CUT_SERVICE says which, CUT names what is out; CUT_STATUS and CUT_BODY are the answer of what then stands where a layer
was; CUT_CACHE=off has every read go to Postgres. What asks a store or checks a token is out from its second time on: it
then repeats what it said first.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest.mock import patch

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common import app as common
from services.common.access_log import AccessLog
from services.common.metrics import HttpMetrics
from services.common.process import run
from services.common.remembered_tokens import RememberingVerifier
from services.items import reads
from services.items.cache import Found, ItemCache
from services.items.repository import ItemRepository
from tests.bench.apps.uncached.__main__ import NoCache

STATUS = int(os.environ.get("CUT_STATUS", "200"))
BODY = os.environ.get("CUT_BODY", "{}").encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
START: Message = {"type": "http.response.start", "status": STATUS, "headers": HEADERS}


def answering(app: ASGIApp) -> ASGIApp:
    """What answers requests in the place of an application, and leaves its start and end to it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        await send({**START, "headers": [*HEADERS]})
        await send({"type": "http.response.body", "body": BODY})

    return answer


def _bare(app: ASGIApp, *, meter: HttpMetrics) -> ASGIApp:  # noqa: ARG001 - in the place of CountRequests
    return app


def without_telemetry() -> None:
    """No layer that counts, and no line of a finished request."""
    patch.object(common, "CountRequests", _bare).start()
    patch.object(AccessLog, "wants", lambda *_: False).start()


def without_token_check() -> None:
    """Every token is the first one."""
    repeat(RememberingVerifier, "verify", by=lambda *_: None)


def without_redis() -> None:
    """What was found stays found."""
    repeat(ItemCache, "find", by=lambda item_id: item_id, when=_is_hit)


def without_postgres() -> None:
    """What was read or written first is read or written."""
    repeat(ItemRepository, "get", by=lambda item_id, _: item_id)
    repeat(ItemRepository, "add", by=lambda *_: None)
    commit = ItemRepository.commit
    written: list[bool] = []

    async def once(self: ItemRepository) -> None:
        if not written:
            await commit(self)
            written.append(True)

    patch.object(ItemRepository, "commit", once).start()


def without_service() -> None:
    """Routes answer before FastAPI has solved a dependency or validated anything."""

    async def answer(_: Any) -> Response:
        return Response(BODY, STATUS, media_type="application/json")

    patch.object(reads.ItemRoute, "get_route_handler", lambda _: answer).start()


def without_forwarding() -> None:
    """The gateway answers where it would forward."""
    from services.gateway import main

    patch.object(main, "Forwarding", answering).start()


def without_routing(app: FastAPI) -> None:
    """What answers stands where the routes were."""
    app.router.middleware_stack = answering(app.router.middleware_stack)  # type: ignore[assignment] # mypy: a method


def without_middleware(app: FastAPI) -> None:
    """What answers stands where the first layer was."""
    app.middleware_stack = answering(app.build_middleware_stack())


BEFORE: dict[str, Callable[[], None]] = {
    "telemetry": without_telemetry,
    "token check": without_token_check,
    "Redis": without_redis,
    "Postgres": without_postgres,
    "service": without_service,
    "forwarding": without_forwarding,
}
AFTER: dict[str, Callable[[FastAPI], None]] = {"routing": without_routing, "middleware": without_middleware}


def repeat(of: type, name: str, *, by: Callable[..., object], when: Callable[[Any], bool] = lambda _: True) -> None:
    """Have a method that is awaited say again what it said, of what `by` makes of its arguments."""
    ask, said = getattr(of, name), {}

    async def again(self: object, *args: Any) -> Any:
        key = by(*args)
        if key not in said:
            answer = await ask(self, *args)
            if not when(answer):
                return answer
            said[key] = answer
        return said[key]

    patch.object(of, name, again).start()


def _is_hit(found: Found) -> bool:
    return found.item is not None and found.lease is None


def main() -> None:
    """Take out what is to be out, and become the service."""
    cut = [name for name in os.environ["CUT"].split(",") if name]
    for name in cut:
        if name in BEFORE:
            BEFORE[name]()
    service = os.environ["CUT_SERVICE"]
    if os.environ.get("CUT_CACHE") == "off":
        vars(import_module("services.items.main"))["ItemCache"] = NoCache
    module = import_module(f"services.{service}.main")
    settings = import_module(f"services.{service}.settings")

    def create_app(given: Any) -> FastAPI:
        app: FastAPI = module.create_app(given)
        for name in cut:
            if name in AFTER:
                AFTER[name](app)
        return app

    run(service, create_app=create_app, settings=getattr(settings, f"{service.capitalize()}Settings"))


if __name__ == "__main__":
    main()

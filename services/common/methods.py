"""Methods of HTTP where the framework falls short of RFC 9110: HEAD, and what 405 says is allowed."""

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


class HeadIsGet:
    """Answers HEAD as GET without the content (RFC 9110 9.3.2), which the server leaves out."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application; this is the innermost layer, so that the others see HEAD."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change the scope itself, so that the route that is found shows in it."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_as_head(message: Message) -> None:
            scope["method"] = "HEAD"
            await send(message)

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, send_as_head)
        finally:
            scope["method"] = "HEAD"


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """Every method that some route of the application takes at this path (RFC 9110 10.2.1)."""
    found = [method for method in METHODS if _is_routed(app, {**scope, "method": method})]
    if "GET" in found and "HEAD" not in found:
        found.append("HEAD")
    return sorted(found)


def _is_routed(app: FastAPI, scope: Scope) -> bool:
    return any(route.matches(dict(scope))[0] == Match.FULL for route in app.router.routes)

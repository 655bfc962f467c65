"""Errors under the paths of people: the form again with a sentence, or a page that says what happened.

Everything else keeps its own form: problem documents, and the errors of OAuth.
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.auth.oauth.exceptions import OAuthPageError
from services.auth.pages.exceptions import ElsewhereError, FieldError
from services.auth.pages.rendering import Refusal, answer
from services.common.exceptions import ServiceError
from services.common.problems import on_http_exception, on_service_error
from services.common.statuses import kind

PATHS = ("/login", "/logout", "/account")
# what an error is about, where it does not say so itself
FIELDS = {
    "weak-password": "new_password",
    "wrong-password": "password",
    "wrong-code": "code",
    "code-ended": "code",
    "invalid-email": "email",
    "invalid-name": "name",
}
UNAUTHENTICATED, FORBIDDEN, SERVER_ERROR = 401, 403, 500
SAID = {
    404: "There is no such page. The address may have been copied in part, or the page has moved.",
    405: "This page cannot be asked in this way.",
    408: "What you sent took too long to arrive. Please try again.",
    413: "What you sent is more than is read here.",
    500: "Something went wrong on our side. It has been noted; please try again in a while.",
    503: "Something that this page needs is away for the moment. Please try again in a while.",
}
DROPPED = ("www-authenticate",)  # a challenge for programs: a browser would ask in a window of its own


def add_page_errors(app: FastAPI) -> None:
    """Have the application answer people with pages."""
    app.add_exception_handler(ServiceError, on_error)
    app.add_exception_handler(HTTPException, on_error)
    app.add_exception_handler(ElsewhereError, on_elsewhere)


async def on_error(request: Request, error: Exception) -> Response:
    """A refusal of our own, or of the framework's."""
    is_page = is_for_people(request.scope["path"]) or isinstance(error, OAuthPageError)
    if isinstance(error, HTTPException):
        problem = await on_http_exception(request, error)
        own = {name: value for name, value in problem.headers.items() if not name.startswith("content-")}
        return error_page(request.scope, error.status_code, headers=own) if is_page else problem
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for these two alone
    if not is_page:
        return await on_service_error(request, error)
    headers = {name: value for name, value in error.headers.items() if name.lower() not in DROPPED}
    # 401 needs a challenge, which a page has no use for (RFC 9110 15.5.2)
    status = FORBIDDEN if error.status == UNAUTHENTICATED else error.status
    shown_by = None if isinstance(error, OAuthPageError) else form_page(request)
    if shown_by is None:
        return error_page(request.scope, status, error.title, error.detail, headers)
    field = error.field if isinstance(error, FieldError) else FIELDS.get(error.slug)
    return FormAgain(request, shown_by, Refusal(error.detail or error.title, field, status, headers))


async def on_elsewhere(_: Request, error: Exception) -> Response:
    """Another page is the one for now."""
    assert isinstance(error, ElsewhereError)  # noqa: S101 - registered for this class alone
    return Response(status_code=303, headers={"Location": error.location, "Cache-Control": "no-store"})


def is_for_people(path: str) -> bool:
    """Whether a path is one that people see."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PATHS)


def form_page(request: Request) -> str | None:
    """The path of the page with the form that was sent: the same, or the nearest one above it that can be seen.

    None where nothing was read of a form.
    """
    path: str = request.scope["path"]
    if request.method != "POST" or not hasattr(request.state, "typed"):
        return None
    while path:
        if any(route.matches(_get(request.scope, path))[0] == Match.FULL for route in request.app.router.routes):
            return path
        path = path.rpartition("/")[0]
    return None


class FormAgain(Response):
    """The page with the form, with what was typed and why it was refused, as answer to the form itself."""

    def __init__(self, request: Request, path: str, refusal: Refusal) -> None:
        super().__init__(status_code=refusal.status)
        self._router: ASGIApp = request.app.router
        self._path = path
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the page's own endpoint answer; the connection that the form's has used is given back by now.

        A page that is not for now, because of what it needs or who is signed in, gives way to one of the error alone.
        """
        given_way = False

        async def send_again(message: Message) -> None:
            nonlocal given_way
            if message["type"] == "http.response.start":
                given_way = message["status"] != self._refusal.status
            if not given_way:
                await send(message)

        await self._router(_get(scope, self._path, refusal=self._refusal), receive, send_again)
        if given_way:
            page = error_page(scope, self._refusal.status, sentence=self._refusal.sentence)
            await page(scope, receive, send)


def _get(scope: Scope, path: str, **state: object) -> Scope:
    own = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    return {**scope, **own, "state": {**scope["state"], **state}}


def error_page(
    scope: Scope,
    status: int,
    title: str | None = None,
    sentence: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page that says what happened, and leads back."""
    response = answer(
        "error.html",
        status,
        title=title or kind(status)[1],
        sentence=sentence or SAID.get(status, "This cannot be done."),
        refusal=None,
        request_id=scope.get("state", {}).get("request_id"),
    )
    response.headers.update(headers or {})
    return response


class PageOfLastResort:
    """A page for people where the service's own last resort is a problem document. The error goes on to that one.

    It logs the error and finds that an answer has begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the routes."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer for what nobody caught, and raise it again."""
        if scope["type"] != "http" or not is_for_people(scope["path"]):
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except Exception:
            if not started:
                await error_page(scope, SERVER_ERROR)(scope, receive, send_noted)
            raise

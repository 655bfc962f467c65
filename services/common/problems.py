"""Every error as `application/problem+json` (RFC 9457)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from services.common.exceptions import ServiceError, UnprocessableError
from services.common.methods import allowed_methods
from services.common.statuses import kind

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20  # a body of a million wrong members must not make an answer of a million lines
MAX_LOCATION = 200


class ProblemResponse(JSONResponse):
    """A JSON answer under its own media type."""

    media_type = MEDIA_TYPE


def problem(
    scope: Scope,
    status: int,
    *,
    title: str | None = None,
    slug: str | None = None,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: Iterable[Mapping[str, str]] | None = None,
) -> ProblemResponse:
    """Build the answer: `type title status detail instance request_id`, and `errors` where given."""
    usual_slug, usual_title = kind(status)
    body: dict[str, Any] = {
        "type": f"/problems/{slug or usual_slug}",
        "title": title or usual_title,
        "status": status,
        "detail": detail,
        "instance": printable(scope["path"]),
        "request_id": scope.get("state", {}).get("request_id"),
    }
    if errors is not None:
        body["errors"] = list(errors)
    members = {name: value for name, value in body.items() if value is not None}
    return ProblemResponse(members, status, dict(headers or {}))


def printable(text: object, limit: int = 2000) -> str:
    """Text that can be encoded as UTF-8 whatever the client put into it (lone surrogates), and is not endless."""
    return str(text)[:limit].encode("utf-8", "backslashreplace").decode()


async def on_service_error(request: Request, error: Exception) -> ProblemResponse:
    """Render a refusal of our own."""
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for this class alone
    return problem(
        request.scope,
        error.status,
        title=error.title,
        slug=error.slug,
        detail=error.detail,
        headers=error.headers,
    )


async def on_http_exception(request: Request, error: Exception) -> ProblemResponse:
    """Render what the framework raises: 404 and 405 of the router, 400 for an unreadable body."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    try:
        said_anyway = error.detail == HTTPStatus(error.status_code).phrase  # what the framework puts for no detail
    except ValueError:
        said_anyway = False
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request.app, request.scope))
    return problem(request.scope, error.status_code, detail=None if said_anyway else str(error.detail), headers=headers)


async def on_validation_error(request: Request, error: Exception) -> ProblemResponse:
    """Render wrong fields as 422, saying where and why, never the rejected value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    found = error.errors()
    return problem(
        request.scope,
        UnprocessableError.status,
        detail=f"{len(found)} value{'s are' if len(found) > 1 else ' is'} not as it should be",
        errors=[_error(e) for e in found[:MAX_ERRORS]],
    )


def _error(error: Mapping[str, Any]) -> dict[str, str]:
    location = printable(".".join(map(str, error["loc"])), MAX_LOCATION)
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        message = f"{message}: {error['ctx']['error']}"
    return {"location": location, "message": printable(message)}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer with problem documents wherever the framework would have its own form."""
    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)

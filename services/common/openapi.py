"""How errors stand in a service's OpenAPI document."""

from typing import Any

from fastapi import FastAPI

from services.common.problems import MEDIA_TYPE
from services.common.statuses import kind

FIRST_ERROR = 400
PROBLEM = {"$ref": "#/components/schemas/Problem"}
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "says which error it is, the same for ever"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "the path that was asked"},
        "request_id": {"type": "string", "description": "finds the request in the logs"},
        "errors": {
            "type": "array",
            "description": "of a 422: which values are wrong, and why",
            "items": {
                "type": "object",
                "required": ["location", "message"],
                "properties": {"location": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Name the errors that an endpoint answers, for its `responses`."""
    return {status: {"description": kind(status)[1]} for status in statuses}


def describe_problems(app: FastAPI) -> None:
    """Have the application's document show each error as what it is, a problem document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _rewrite(generate())
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change it


def _rewrite(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's own form, which is not used
        schemas.pop(name, None)
    schemas["Problem"] = SCHEMA
    for path in document.get("paths", {}).values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status.isdigit() and int(status) >= FIRST_ERROR:
                    response["content"] = {MEDIA_TYPE: {"schema": PROBLEM}}

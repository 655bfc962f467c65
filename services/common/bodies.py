"""Reading what callers send, strictly: JSON in UTF-8, each member once, under the media type that it has."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from services.common.exceptions import UnsupportedMediaTypeError
from services.common.security import GuardedRoute

MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"


class JsonRequest(Request):
    """Reads JSON in UTF-8 only (RFC 8259 8.1) whose objects name each member once (section 4)."""

    async def json(self) -> Any:
        """The body. Raises HTTPException, the only class that FastAPI passes on, and JSONDecodeError."""
        try:
            text = (await self.body()).decode()
        except UnicodeDecodeError:
            raise HTTPException(400, "The body must be JSON in UTF-8") from None
        return json.loads(text, object_pairs_hook=_each_once)


class JsonRoute(GuardedRoute):
    """Token and scopes first, then the body, strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the request on as one that is read strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_strictly


# all of these are `async def`: FastAPI runs a plain function in a thread, which costs several times the call


async def require_json(request: Request) -> None:
    """Refuse bodies that do not say they are JSON."""
    _require_type(request, JSON, headers={"Accept": JSON})


async def require_merge_patch(request: Request) -> None:
    """Refuse bodies that are no merge patch; plain JSON is read as one (RFC 7396, RFC 5789 2.2)."""
    _require_type(request, MERGE_PATCH, JSON, headers={"Accept-Patch": f"{MERGE_PATCH}, {JSON}"})


async def require_single_parameters(request: Request) -> None:
    """Refuse a query that names a parameter twice: which of the two counts would be anybody's guess."""
    names = [name for name, _ in request.query_params.multi_items()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        errors = [{"type": "repeated", "loc": ("query", name), "msg": "must be given once"} for name in twice]
        raise RequestValidationError(errors)


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise HTTPException(400, "An object in the body names the same member twice")
    return found


def _require_type(request: Request, *accepted: str, headers: dict[str, str]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in accepted:
        raise UnsupportedMediaTypeError(f"Content-Type must be {' or '.join(accepted)}.", headers=headers)

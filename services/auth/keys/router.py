"""The key set, for everybody who checks tokens."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.common.openapi import refusals

MAX_AGE_SECONDS = 300

router = APIRouter(tags=["keys"], responses=refusals(503))


@router.get("/.well-known/jwks.json")
async def get_keys(request: Request, response: Response) -> dict[str, Any]:
    """The public keys (RFC 7517 5). A copy may be kept for a quarter of the time that a key is published in advance."""
    age = min(MAX_AGE_SECONDS, request.state.settings.key_publish_seconds // 4)
    response.headers["Cache-Control"] = f"public, max-age={age}"
    keys: dict[str, Any] = request.state.key_ring.jwks()
    return keys

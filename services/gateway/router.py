"""The paths of the gateway itself: a start page, the API's description, and pages to read it."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from services.common.app import project_version
from services.common.exceptions import NotFoundError
from services.gateway import pages

# put there by `make docs-ui`, not part of the sources
UI_FOLDER = Path(__file__).with_name("swagger-ui")
UI_FILES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "oauth2-redirect.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
FRESH = {"Cache-Control": "no-cache"}
FOR_AN_HOUR = {"Cache-Control": "public, max-age=3600"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def show_start(request: Request) -> HTMLResponse:
    """What runs, and where to go on."""
    failing = sorted(name for name, said in request.app.state.health.checks.items() if said != "ok")
    html = pages.start(project_version(), failing, request.state.documents.services)
    return HTMLResponse(html, headers=FRESH | {"Content-Security-Policy": pages.PLAIN_POLICY})


@router.get("/openapi.json")
async def get_document(request: Request, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The documents of all services as one; 304 for who has it."""
    documents = request.state.documents
    headers = FRESH | {"ETag": documents.tag}
    if if_none_match is not None and documents.tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(documents.merged, headers=headers, media_type="application/json")


@router.get("/docs")
async def show_docs() -> HTMLResponse:
    """Swagger UI over the merged document, or how to get it."""
    if not all((UI_FOLDER / name).is_file() for name in UI_FILES):
        return HTMLResponse(pages.docs_missing(), 404, FRESH | {"Content-Security-Policy": pages.PLAIN_POLICY})
    return HTMLResponse(pages.DOCS, headers=FRESH | {"Content-Security-Policy": pages.DOCS_POLICY})


@router.get("/docs/{name}")
async def get_docs_file(name: str) -> Response:
    """A file of Swagger UI, the script that starts it, or the page where somebody who has signed in comes back to."""
    if name == "oauth2-redirect":
        return HTMLResponse(pages.REDIRECT, headers=FRESH | {"Content-Security-Policy": pages.DOCS_POLICY})
    if name == "start.js":
        return Response(pages.START_SCRIPT, headers=FOR_AN_HOUR, media_type="text/javascript")
    if name not in UI_FILES or not (UI_FOLDER / name).is_file():
        raise NotFoundError
    return FileResponse(UI_FOLDER / name, headers=FOR_AN_HOUR, media_type=UI_FILES[name])

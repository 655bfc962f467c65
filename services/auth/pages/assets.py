"""The style sheet and the pictures, read once at the start and named by their hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Response

from services.common.exceptions import NotFoundError

FOLDER = Path(__file__).parent / "static"
PREFIX = "/login/static"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
HASH_DIGITS = 16

router = APIRouter(prefix=PREFIX, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    media_type: str
    version: str


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:HASH_DIGITS])


ASSETS: Mapping[str, Asset] = {path.name: _read(path) for path in sorted(FOLDER.iterdir())}


def address(name: str) -> str:
    """The path of a file as pages link it: another one for another content."""
    return f"{PREFIX}/{name}?v={ASSETS[name].version}"


@router.get("/{name}")
async def get_asset(name: str, v: str = "") -> Response:
    """A file. While replicas of two versions answer, one must not have the other's file kept under its own name."""
    asset = ASSETS.get(name)
    if asset is None:
        raise NotFoundError("There is no such file.")
    kept = "public, max-age=31536000, immutable" if v == asset.version else "no-store"
    headers = {
        "Cache-Control": kept,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Response(asset.content, media_type=asset.media_type, headers=headers)

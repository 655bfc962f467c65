"""The paths of people, in the order of a visit."""

from fastapi import APIRouter

from services.auth.pages import assets

router = APIRouter(tags=["pages"])
for part in (assets,):
    router.include_router(part.router)

"""The paths of people, in the order of a visit."""

from fastapi import APIRouter

from services.auth.pages import account, assets, consent, factor, reset, sign_in, sign_out, sign_up

router = APIRouter(tags=["pages"])
for part in (assets, sign_in, sign_up, reset, consent, sign_out, account, factor):
    router.include_router(part.router)

"""Signing out: asked for by a form of ours, so that no link of somebody else's does it."""

from fastapi import APIRouter, Request, Response

from services.auth.oauth.dependencies import UserSessionDep
from services.auth.pages.forms import AccountFormDep
from services.auth.pages.rendering import page, sign_in_page
from services.auth.pages.signing_in import BrowserDep

router = APIRouter(prefix="/logout", include_in_schema=False)


@router.get("")
async def get_sign_out(request: Request, here: UserSessionDep) -> Response:
    """The question, or that nobody is signed in."""
    if here is None:
        return sign_in_page(request, "logout.html", signed_in=False)
    return page(request, "logout.html", binding=str(here.id), signed_in=True)


@router.post("")
async def post_sign_out(_: AccountFormDep, browser: BrowserDep) -> Response:
    """End this browser's session."""
    return await browser.sign_out("/logout")

"""The second factor of whoever is signed in. Each change of it takes the password once more."""

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from services.auth.audit.dependencies import OriginDep
from services.auth.pages.cookies import Purpose
from services.auth.pages.exceptions import ElsewhereError
from services.auth.pages.forms import AccountFormDep, SignedInDep
from services.auth.pages.rendering import page
from services.auth.pages.signing_in import BrowserDep
from services.auth.sessions.models import UserSession
from services.auth.users.dependencies import AccountServiceDep
from services.auth.users.second_factor import qr_svg
from services.auth.users.service import AccountService

START, APP = "/account/second-factor", "/account/second-factor/app"
REMOVE, CODES = "/account/second-factor/remove", "/account/recovery-codes"
TYPE_PASSWORD = "Type your password."  # noqa: S105 - what a page says

router = APIRouter(include_in_schema=False)


@router.get(START)
async def get_start(request: Request, here: SignedInDep, accounts: AccountServiceDep) -> Response:
    """Ask for the password first."""
    if await accounts.second_factor_is_on(here.user_id):
        raise ElsewhereError("/account")
    title, sentence = "Turn on the second factor", "An app on your phone shows a code that you type when you sign in."
    return await _confirm(request, here, accounts, title=title, sentence=sentence, action=START, button="Go on")


@router.post(START)
async def post_start(
    form: AccountFormDep, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep, origin: OriginDep
) -> Response:
    """Make a secret for the app; it is shown to this browser alone, and for a quarter of an hour."""
    await accounts.confirm_password(here.user_id, form.password("password", TYPE_PASSWORD), origin)
    await accounts.begin_totp(here.user_id)
    return browser.go(APP, Purpose.AUTHENTICATOR, user=str(here.user_id))


@router.get(APP)
async def get_app(request: Request, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep) -> Response:
    """The secret, as a picture and as a word."""
    known = browser.remembered(Purpose.AUTHENTICATOR)
    new = await accounts.pending_totp(here.user_id)
    if new is None or known is None or known["user"] != str(here.user_id):
        raise ElsewhereError(START)
    picture = Markup(qr_svg(new.uri))  # noqa: S704 - a drawing of our own, in which no text stands
    return page(request, "authenticator.html", binding=str(here.id), picture=picture, secret=new.secret)


@router.post(APP)
async def post_app(
    form: AccountFormDep, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep, origin: OriginDep
) -> Response:
    """Turn it on, once the app has shown that it has the secret."""
    codes = await accounts.confirm_totp(here.user_id, form.text("code", "Type the code of the app."), origin)
    return _show_once(browser, here, codes)


@router.get(REMOVE)
async def get_remove(request: Request, here: SignedInDep, accounts: AccountServiceDep) -> Response:
    """Ask for the password first."""
    title, sentence = "Turn off the second factor", "Your password alone is then enough to sign in."
    return await _confirm(request, here, accounts, title=title, sentence=sentence, action=REMOVE, button="Turn off")


@router.post(REMOVE)
async def post_remove(
    form: AccountFormDep, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep, origin: OriginDep
) -> Response:
    """Turn it off."""
    await accounts.remove_totp(here.user_id, form.password("password", TYPE_PASSWORD), origin)
    return browser.go("/account?notice=second-factor-removed")


@router.get(CODES)
async def get_codes(request: Request, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep) -> Response:
    """New codes, once; after that, the way to others."""
    new = browser.remembered(Purpose.RECOVERY_CODES)
    if new is not None and new["user"] == str(here.user_id):
        response = page(request, "recovery_codes.html", binding=str(here.id), codes=new["codes"].split())
        browser.forget(response)
        return response
    title, sentence = "Make new recovery codes", "Those that you have are good no more after that."
    return await _confirm(request, here, accounts, title=title, sentence=sentence, action=CODES, button="Make new ones")


@router.post(CODES)
async def post_codes(
    form: AccountFormDep, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep, origin: OriginDep
) -> Response:
    """Make others."""
    password = form.password("password", TYPE_PASSWORD)
    return _show_once(browser, here, await accounts.renew_recovery_codes(here.user_id, password, origin))


def _show_once(browser: BrowserDep, here: UserSession, codes: list[str]) -> Response:
    return browser.go(CODES, Purpose.RECOVERY_CODES, user=str(here.user_id), codes=" ".join(codes))


async def _confirm(request: Request, here: UserSession, accounts: AccountService, **texts: str) -> Response:
    user = await accounts.user(here.user_id)
    return page(request, "confirm.html", binding=str(here.id), user=user, **texts)

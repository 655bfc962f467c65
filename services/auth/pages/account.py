"""The account of whoever is signed in: password, devices, applications."""

from fastapi import APIRouter, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.oauth.dependencies import ConsentServiceDep
from services.auth.pages import notices
from services.auth.pages.forms import AccountFormDep, SignedInDep
from services.auth.pages.rendering import page
from services.auth.pages.signing_in import BrowserDep
from services.auth.users.dependencies import AccountServiceDep

router = APIRouter(prefix="/account", include_in_schema=False)


@router.get("")
async def get_account(
    request: Request,
    here: SignedInDep,
    accounts: AccountServiceDep,
    browser: BrowserDep,
    consents: ConsentServiceDep,
) -> Response:
    """All of it at a glance."""
    return page(
        request,
        "account.html",
        binding=str(here.id),
        user=await accounts.user(here.user_id),
        second_factor=await accounts.second_factor_is_on(here.user_id),
        codes_left=await accounts.recovery_codes_left(here.user_id),
        sessions=await browser.sessions.list(here.user_id),
        here=here.id,
        consents=await consents.list(here.user_id),
        notice=notices.ACCOUNT.get(request.query_params.get("notice", "")),
    )


@router.post("/sessions/end")
async def post_end_session(form: AccountFormDep, here: SignedInDep, browser: BrowserDep) -> Response:
    """Sign out one device; this one too, which is then sent away."""
    wanted = form.optional("session")
    if wanted == str(here.id):
        return await browser.sign_out("/logout")
    await browser.end_session(wanted, here)
    return browser.go("/account?notice=session-ended")


@router.post("/sessions/end-others")
async def post_end_others(_: AccountFormDep, here: SignedInDep, browser: BrowserDep) -> Response:
    """Sign out all other devices."""
    await browser.end_others(here)
    return browser.go("/account?notice=others-ended")


@router.post("/consents/withdraw")
async def post_withdraw(
    form: AccountFormDep, here: SignedInDep, consents: ConsentServiceDep, browser: BrowserDep
) -> Response:
    """Take back what an application was allowed; what is taken back already stays so."""
    await consents.withdraw(here.user_id, form.optional("client"))
    return browser.go("/account?notice=withdrawn")


@router.get("/password")
async def get_password(request: Request, here: SignedInDep, accounts: AccountServiceDep) -> Response:
    """The form."""
    user = await accounts.user(here.user_id)
    return page(request, "password.html", binding=str(here.id), user=user)


@router.post("/password")
async def post_password(
    form: AccountFormDep, here: SignedInDep, accounts: AccountServiceDep, browser: BrowserDep, origin: OriginDep
) -> Response:
    """Take another password, for the one that is known."""
    old = form.password("password", "Type your current password.")
    new = form.password("new_password", "Choose a password.")
    await accounts.change_password(here.user_id, old, new, origin, keep_session=here.id)
    return browser.go("/account?notice=password-changed")

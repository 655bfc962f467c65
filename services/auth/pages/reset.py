"""Another password for one that was forgotten, by a code that is mailed."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.pages.continuing import ACCOUNT
from services.auth.pages.cookies import Purpose
from services.auth.pages.forms import SignInFormDep
from services.auth.pages.rendering import sign_in_page
from services.auth.pages.signing_in import BrowserDep
from services.auth.users.dependencies import AccountServiceDep
from services.auth.users.models import EMAIL_MAX

router = APIRouter(prefix="/login/reset", include_in_schema=False)


@router.get("")
async def get_reset(request: Request, browser: BrowserDep) -> Response:
    """The form."""
    known = browser.remembered(Purpose.SIGN_IN) or {}
    typed: dict[str, str] = getattr(request.state, "typed", {})
    return sign_in_page(request, "reset.html", email=typed.get("email", known.get("email", "")))


@router.post("")
async def post_reset(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Have a code mailed; the answer is the same whether the address has an account or not."""
    email = form.text("email", "Type your e-mail address.", most=EMAIL_MAX)
    code_id = await accounts.request_reset(email, origin)
    goal = (browser.remembered(Purpose.SIGN_IN) or {}).get("goal", ACCOUNT)
    return browser.go("/login/reset/code", Purpose.RESET, id=str(code_id), email=email, goal=goal)


@router.get("/code")
async def get_reset_code(request: Request, browser: BrowserDep) -> Response:
    """The form for the code and the new password."""
    known = browser.expected(Purpose.RESET)
    return sign_in_page(request, "reset_code.html", email=known["email"])


@router.post("/code")
async def post_reset_code(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Take the new password. Nobody is signed in by that: a second factor is asked for as ever."""
    known = browser.expected(Purpose.RESET)
    code = form.text("code", "Type the code from the mail.")
    new = form.password("new_password", "Choose a password.")
    await accounts.reset(UUID(known["id"]), code, new, origin)
    then = {"goal": known["goal"], "email": known["email"]}
    return browser.go("/login?notice=password-reset", Purpose.SIGN_IN, **then)

"""Creating an account: nothing is made before the code from the mail came back."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.pages.continuing import ACCOUNT
from services.auth.pages.cookies import Purpose
from services.auth.pages.forms import SignInFormDep
from services.auth.pages.rendering import sign_in_page
from services.auth.pages.signing_in import BrowserDep
from services.auth.users.dependencies import AccountServiceDep
from services.auth.users.exceptions import SignUpClosedError
from services.auth.users.models import EMAIL_MAX

router = APIRouter(prefix="/login/sign-up", include_in_schema=False)


@router.get("")
async def get_sign_up(request: Request, accounts: AccountServiceDep) -> Response:
    """The form."""
    if not accounts.sign_up_is_open:
        raise SignUpClosedError
    return sign_in_page(request, "sign_up.html")


@router.post("")
async def post_sign_up(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Have a code mailed; the answer is the same whether the address has an account or not."""
    name = form.text("name", "Type your name.")
    email = form.text("email", "Type your e-mail address.", most=EMAIL_MAX)
    password = form.password("new_password", "Choose a password.")
    code_id = await accounts.sign_up(name, email, password, origin)
    goal = (browser.remembered(Purpose.SIGN_IN) or {}).get("goal", ACCOUNT)
    return browser.go("/login/sign-up/code", Purpose.SIGN_UP, id=str(code_id), email=email, goal=goal)


@router.get("/code")
async def get_sign_up_code(request: Request, browser: BrowserDep) -> Response:
    """The form for the code."""
    known = browser.expected(Purpose.SIGN_UP)
    return sign_in_page(request, "sign_up_code.html", email=known["email"])


@router.post("/code")
async def post_sign_up_code(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Make the account. Nobody is signed in by a code: the password is what they have shown to know."""
    known = browser.expected(Purpose.SIGN_UP)
    await accounts.confirm_sign_up(UUID(known["id"]), form.text("code", "Type the code."), origin)
    then = {"goal": known["goal"], "email": known["email"]}
    return browser.go("/login?notice=signed-up", Purpose.SIGN_IN, **then)

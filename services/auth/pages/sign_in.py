"""Signing in: a password, in its place one of one's own, a second factor."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.auth.audit.dependencies import OriginDep
from services.auth.oauth.dependencies import UserSessionDep
from services.auth.pages import notices
from services.auth.pages.continuing import ACCOUNT, continued
from services.auth.pages.cookies import Purpose
from services.auth.pages.exceptions import ElsewhereError
from services.auth.pages.forms import SignInFormDep
from services.auth.pages.goals import GoalsDep
from services.auth.pages.rendering import sign_in_page
from services.auth.pages.signing_in import BrowserDep
from services.auth.users.dependencies import AccountServiceDep
from services.auth.users.models import EMAIL_MAX

router = APIRouter(prefix="/login", include_in_schema=False)


@router.get("")
async def get_sign_in(
    request: Request, goals: GoalsDep, browser: BrowserDep, accounts: AccountServiceDep, here: UserSessionDep
) -> Response:
    """The form. Where to go on to stands in it, and in a cookie for those who first sign up or reset."""
    known = browser.remembered(Purpose.SIGN_IN) or {}
    notice = notices.SIGN_IN.get(request.query_params.get("notice", ""))
    asked = goals.asked()
    typed: dict[str, str] | None = getattr(request.state, "typed", None)
    if here is not None and asked is None and typed is None:
        raise ElsewhereError(ACCOUNT)
    goal = await goals.of(asked or known.get("goal"))
    email = (typed or {}).get("email") or goal.login_hint or known.get("email", "")
    response = sign_in_page(
        request,
        "sign_in.html",
        to=goal.to,
        goal=goal.path,
        client=goal.client,
        email=email,
        sign_up=accounts.sign_up_is_open,
        notice=notice,
    )
    browser.remember(response, Purpose.SIGN_IN, goal=goal.path, email=email[:EMAIL_MAX])
    return response


@router.post("")
async def post_sign_in(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Check the password, then go on."""
    email = form.text("email", "Type your e-mail address.")
    password = form.password("password", "Type your password.")
    goal = continued(form.optional("continue"))
    signed_in = await accounts.sign_in(email, password, origin)
    if signed_in.must_change_password:
        known = {"email": signed_in.user.email, "one_time": password, "goal": goal}
        return browser.go("/login/new-password", Purpose.NEW_PASSWORD, **known)
    return await browser.go_on(signed_in, goal)


@router.get("/new-password")
async def get_new_password(request: Request, goals: GoalsDep, browser: BrowserDep) -> Response:
    """Whoever signs in with a one-time password chooses another."""
    known = browser.expected(Purpose.NEW_PASSWORD)
    goal = await goals.of(known["goal"])
    return sign_in_page(request, "new_password.html", to=goal.to, email=known["email"])


@router.post("/new-password")
async def post_new_password(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Take it, then go on."""
    known = browser.expected(Purpose.NEW_PASSWORD)
    new = form.password("new_password", "Choose a password.")
    signed_in = await accounts.choose_password(known["email"], known["one_time"], new, origin)
    return await browser.go_on(signed_in, known["goal"])


@router.get("/second-factor")
async def get_second_factor(request: Request, goals: GoalsDep, browser: BrowserDep) -> Response:
    """Whoever has a second factor shows it now."""
    known = browser.expected(Purpose.SECOND_FACTOR)
    goal = await goals.of(known["goal"])
    return sign_in_page(request, "second_factor.html", to=goal.to)


@router.post("/second-factor")
async def post_second_factor(
    form: SignInFormDep, browser: BrowserDep, accounts: AccountServiceDep, origin: OriginDep
) -> Response:
    """Check the code, then start the session."""
    known = browser.expected(Purpose.SECOND_FACTOR)
    user_id = UUID(known["user"])
    methods = await accounts.second_factor(user_id, form.text("code", "Type the code."), origin)
    return await browser.start(user_id, methods, datetime.fromisoformat(known["as_of"]), known["goal"])

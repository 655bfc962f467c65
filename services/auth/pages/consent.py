"""Whether a client may have what it asks for."""

from fastapi import APIRouter, Request, Response

from services.auth.oauth.authorization import ConsentNeeded, parameters_of
from services.auth.oauth.dependencies import AuthorizationServiceDep, UserSessionDep
from services.auth.oauth.router import decided
from services.auth.pages.exceptions import FieldError
from services.auth.pages.forms import AccountFormDep, SignedInDep
from services.auth.pages.goals import GoalsDep
from services.auth.pages.rendering import page
from services.auth.users.dependencies import AccountServiceDep

router = APIRouter(prefix="/login/consent", include_in_schema=False)


@router.get("")
async def get_consent(
    request: Request,
    goals: GoalsDep,
    authorization: AuthorizationServiceDep,
    accounts: AccountServiceDep,
    here: UserSessionDep,
) -> Response:
    """The question; whoever need not be asked goes on at once."""
    asked = goals.asked() or ""
    decision = await authorization.begin(parameters_of(asked), here)
    if not isinstance(decision, ConsentNeeded) or here is None:
        return decided(decision)
    goal = await goals.of(decision.continue_to)
    user = await accounts.user(here.user_id)
    return page(
        request,
        "consent.html",
        binding=str(here.id),
        to=goal.to,
        goal=goal.path,
        client=decision.client.name,
        email=user.email,
        scopes=decision.scopes,
    )


@router.post("")
async def post_consent(form: AccountFormDep, authorization: AuthorizationServiceDep, here: SignedInDep) -> Response:
    """The answer. What is allowed is what was shown, and of that what the person may still give."""
    parameters = parameters_of(form.optional("continue"))
    answer = form.optional("answer")
    if answer not in {"allow", "deny"}:
        raise FieldError("answer", "Choose whether to allow this.")
    if answer == "deny":
        return decided(await authorization.deny(parameters))
    return decided(await authorization.grant(parameters, here, form.all("scope")))

"""Templates, and the headers of every page: no script, nothing from elsewhere, in nobody's frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.auth.pages import cookies, words
from services.auth.pages.assets import address
from services.auth.pages.csrf import Csrf

FOLDER = Path(__file__).parent / "templates"
TOKEN = "token"  # noqa: S105 - the name of the field

environment = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
environment.globals["asset"] = address
environment.filters |= {
    "plain": words.plain,
    "device": words.device,
    "ago": words.ago,
    "day": words.day,
    "in_fours": words.in_fours,
    "scope": words.scope_words,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a form is shown again: the sentence, and the field that it is about, if it is about one."""

    sentence: str
    field: str | None
    status: int
    headers: Mapping[str, str]


def page(request: Request, template: str, *, binding: str, to: str | None = None, **values: Any) -> HTMLResponse:
    """A page with forms that belong to `binding`. `to`: the source that its forms may lead to beside ourselves.

    After a refusal it is the same page, with what was typed, but no password, and the sentence that says why.
    """
    refusal: Refusal | None = getattr(request.state, "refusal", None)
    typed: Mapping[str, str] = getattr(request.state, "typed", {})
    context = {
        "refusal": refusal,
        "typed": typed,
        "notice": None,
        "token": Csrf(request.state.settings.token_key.get_secret_value()).make(binding),
        **values,
    }
    response = answer(template, 200 if refusal is None else refusal.status, to=to, **context)
    if refusal is not None:
        response.headers.update(refusal.headers)
    return response


def sign_in_page(request: Request, template: str, *, to: str | None = None, **values: Any) -> HTMLResponse:
    """A page for a browser in which nobody need be signed in: its forms are bound to a cookie."""
    known = request.cookies.get(cookies.PRE_SESSION)
    binding = known or cookies.new_binding()
    response = page(request, template, binding=binding, to=to, **values)
    if known is None:
        cookies.set_binding(response, binding)
    return response


def answer(template: str, status: int = 200, *, to: str | None = None, **context: Any) -> HTMLResponse:
    """A template with the headers that all pages have."""
    # not no-referrer: browsers would then send `Origin: null` with our own forms (Fetch, 3.2)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy(to),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return HTMLResponse(environment.get_template(template).render(context), status, headers)


def policy(to: str | None = None) -> str:
    """The Content-Security-Policy; `to` joins the targets of forms."""
    targets = "'self'" if to is None else f"'self' {to}"
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )

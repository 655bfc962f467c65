"""Who may do what: every operation of auth and items by everybody, made from the routes and asked one by one.

The default is no: what asks for no token or no scope has to stand in OPEN, or the first test fails.
"""

import secrets
import uuid
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from services.auth.keys.ring import open_key_ring
from services.auth.main import create_app
from services.auth.oauth.tokens import Tokens
from services.auth.scopes import PERSONAL_SCOPES, SCOPES
from services.auth.settings import AuthSettings
from services.common.migrations import migrate
from services.common.postgres import open_postgres, session_maker
from services.common.security import CurrentPrincipal, GuardedRoute
from services.common.settings import MigrationSettings
from services.items.main import create_app as create_items
from services.items.settings import ItemsSettings
from tests.auth.conftest import MakeSettings
from tests.auth.operations import METHODS, Operation, ask_raw, operations, was_refused
from tests.support.clients import app_client
from tests.support.databases import execute, new_database

# what says by itself who may: by a client's secret, a code, a signature, a cookie; or is there for everybody
OPEN = {
    "GET /openapi.json",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/openid-configuration",
    "GET /oauth2/authorize",
    "POST /oauth2/authorize",
    "POST /oauth2/token",
    "POST /oauth2/revoke",
    "POST /oauth2/introspect",
    "GET /oauth2/userinfo",
    "POST /oauth2/userinfo",
    "GET /oauth2/logout",
    "POST /oauth2/logout",
}
# pages of people: a cookie says who it is, and a form's token that it was they
PAGES = {
    "GET /account",
    "GET /account/password",
    "GET /account/recovery-codes",
    "GET /account/second-factor",
    "GET /account/second-factor/app",
    "GET /account/second-factor/remove",
    "GET /login",
    "GET /login/consent",
    "GET /login/new-password",
    "GET /login/reset",
    "GET /login/reset/code",
    "GET /login/second-factor",
    "GET /login/sign-up",
    "GET /login/sign-up/code",
    "GET /login/static/{name}",
    "GET /logout",
    "POST /account/consents/withdraw",
    "POST /account/password",
    "POST /account/recovery-codes",
    "POST /account/second-factor",
    "POST /account/second-factor/app",
    "POST /account/second-factor/remove",
    "POST /account/sessions/end",
    "POST /account/sessions/end-others",
    "POST /login",
    "POST /login/consent",
    "POST /login/new-password",
    "POST /login/reset",
    "POST /login/reset/code",
    "POST /login/second-factor",
    "POST /login/sign-up",
    "POST /login/sign-up/code",
    "POST /logout",
}
CALLERS = ("anonymous", "no role", "viewer", "editor", "admin", *(f"client {scope}" for scope in SCOPES))


@dataclass(frozen=True)
class Service:
    """One application that answers, and what it can be asked."""

    http: httpx2.AsyncClient
    operations: list[Operation]

    @property
    def guarded(self) -> list[Operation]:
        return [one for one in self.operations if one.scopes is not None]


@dataclass(frozen=True)
class Callers:
    """Everybody who may ask, by name: their scopes, and a token of auth's own with them."""

    tokens: Tokens
    roles: dict[str, list[str]]
    audience: str

    def scopes(self, name: str) -> frozenset[str]:
        if name in ("anonymous", "no role"):
            return frozenset() if name == "anonymous" else PERSONAL_SCOPES
        kind, _, scope = name.partition(" ")
        return frozenset({scope}) if kind == "client" else PERSONAL_SCOPES | {*self.roles[name]}

    def headers(self, name: str) -> dict[str, str]:
        if name == "anonymous":
            return {}
        machine = name.startswith("client")
        token = self.tokens.access(
            datetime.now(UTC),
            subject="machine" if machine else str(uuid.uuid4()),
            client_id="machine" if machine else "console",
            scopes=sorted(self.scopes(name)),
            roles=[name] if name in self.roles else [],
        )
        return {"Authorization": f"Bearer {token.value}"}


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings()


@pytest.fixture(scope="module")
async def auth(settings: AuthSettings) -> AsyncGenerator[Service]:
    app = create_app(settings)
    async with app_client(app) as http:
        yield Service(http, operations(app))


@pytest.fixture(scope="module")
def items_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"test_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture(scope="module")
async def items(auth: Service, settings: AuthSettings, items_url: str) -> AsyncGenerator[Service]:
    """It believes the keys that auth publishes."""
    assert await migrate(MigrationSettings(database_url=items_url), "services.items.migrations") == 0
    own = ItemsSettings(
        database_url=items_url,
        cache_url=settings.state_url,
        issuer=settings.issuer,
        audience=settings.audience,
        jwks_url=f"{auth.http.base_url}/.well-known/jwks.json",
        cursor_key=secrets.token_hex(32),
    )
    app = create_items(own)
    async with app_client(app) as http:
        yield Service(http, operations(app))


@pytest.fixture(params=["auth", "items"])
def service(request: pytest.FixtureRequest, auth: Service, items: Service) -> Service:
    return auth if request.param == "auth" else items


@pytest.fixture(scope="module")
async def callers(auth: Service, settings: AuthSettings, migrated_url: str) -> AsyncGenerator[Callers]:
    """With the roles as they are in the database, and keys that auth has made."""
    assert auth.operations
    roles = {row["name"]: row["scopes"] for row in execute(migrated_url, "SELECT name, scopes FROM roles")[0]}
    async with (
        open_postgres(settings, CollectorRegistry()) as engine,
        open_key_ring(settings, session_maker(engine)) as ring,
    ):
        yield Callers(Tokens(settings, ring), roles, settings.audience)


def test_what_asks_for_no_scope_is_known_by_name(auth: Service, items: Service) -> None:
    unguarded = {str(one) for one in (*auth.operations, *items.operations) if one.scopes is None}

    assert unguarded == OPEN | PAGES
    assert len(auth.guarded) > 15
    assert len(items.guarded) > 5


@pytest.mark.parametrize("page", sorted(page for page in PAGES if page.split()[1].startswith("/account")))
async def test_nobody_sees_or_changes_an_account_without_a_session(auth: Service, page: str) -> None:
    method, path = page.split()

    answer = await auth.http.request(method, path)

    assert (answer.status_code, urlsplit(answer.headers["location"]).path) == (303, "/login")


def test_a_route_that_was_forgotten_is_found() -> None:
    app, bare, guarded = FastAPI(openapi_url=None), APIRouter(), APIRouter(route_class=GuardedRoute)

    @bare.get("/bare")
    async def _() -> None: ...

    @guarded.delete("/token-only")
    async def _(_: CurrentPrincipal) -> None: ...

    app.include_router(bare)
    app.include_router(guarded)
    app.mount("/mounted", FastAPI())

    assert [str(one) for one in operations(app)] == ["ANY /mounted", "DELETE /token-only", "GET /bare"]
    assert all(one.scopes is None for one in operations(app))


def test_every_scope_that_is_asked_for_can_be_given(auth: Service, items: Service) -> None:
    asked = {scope for one in (*auth.guarded, *items.guarded) for scope in one.scopes or ()}

    assert asked <= {*SCOPES}


@pytest.mark.parametrize("name", CALLERS)
async def test_everybody_may_do_what_their_scopes_say_and_nothing_else(
    service: Service, callers: Callers, name: str
) -> None:
    headers, has = callers.headers(name), callers.scopes(name)
    expected, found = {}, {}
    for operation in service.guarded:
        assert operation.scopes is not None
        allowed = "passed" if operation.scopes <= has else "403"
        expected[str(operation)] = "401" if name == "anonymous" else allowed
        answer = await service.http.request(operation.method, operation.url, headers=headers)
        assert answer.status_code < 500, (operation, answer.text)
        found[str(operation)] = was_refused(answer)

    assert found == expected


async def test_head_is_guarded_as_get_is(service: Service, callers: Callers) -> None:
    nobody = callers.headers("client openid")
    for operation in service.guarded:
        if operation.method == "GET":
            assert (await service.http.head(operation.url)).status_code == 401, operation
            assert (await service.http.head(operation.url, headers=nobody)).status_code == 403, operation


async def test_another_method_is_not_there_whoever_asks_and_none_stands_for_another(
    service: Service, callers: Callers
) -> None:
    routed = {(one.method, one.path) for one in service.operations}
    admin, viewer = callers.headers("admin"), callers.headers("client openid")
    for path in {one.path for one in service.guarded}:
        url = Operation("GET", path, None).url
        for method in (*METHODS, "OPTIONS", "TRACE", "PURGE"):
            if (method, path) in routed or (path == "/v1/users/me" and method in ("PATCH", "DELETE")):
                continue  # the latter are those of a user, called `me`
            answer = await service.http.request(method, url, headers=admin)
            assert answer.status_code in (400, 405), (method, path, answer.text)
    for one in service.guarded:
        for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = await service.http.request(one.method, one.url, headers={**viewer, header: "OPTIONS"})
            assert was_refused(answer) == "403", (one, header)


@pytest.mark.parametrize("name", ["anonymous", "client openid"])
async def test_no_spelling_of_a_path_leads_past_its_guard(service: Service, callers: Callers, name: str) -> None:
    authorization = callers.headers(name).get("Authorization")
    for one in service.guarded:
        for target in spellings(one.url):
            status = await ask_raw(service.http.base_url, one.method, target, authorization)
            assert status in (400, 401, 403, 404, 405), (one, target, status)


def spellings(path: str) -> list[str]:
    """A path as a proxy or a person might write it who wants to get past a rule."""
    first, rest = path[1:].split("/", 1)
    last = path.rsplit("/", 1)[1]
    return [
        f"/{path}",
        f"//{first}//{rest}",
        f"{path}/",
        f"{path}//",
        f"{path}/.",
        f"{path}/..",
        f"{path}/../{last}",
        f"/./{first}/{rest}",
        f"/{first}/./{rest}",
        f"/{first}/x/../{rest}",
        f"/{first};x/{rest}",
        f"{path};x=1",
        f"{path}.",
        f"{path}.json",
        f"{path}?x=1",
        f"{path}%3f",
        f"{path}%23",
        f"{path}%2f",
        f"{path}%00",
        f"{path}%20",
        f"{path}%0d%0a",
        f"/{first}%2f{rest}",
        f"/{first}%252f{rest}",
        f"/{first}/%2e/{rest}",
        f"/%76{first[1:]}/{rest}",
        path.upper(),
        f"\\{first}\\{rest}",
        f"http://elsewhere{path}",
    ]

"""Which service answers which path."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from services.gateway.quotas import PATH, Quota, WithoutState, check_quotas, usual_quotas

# of auth: who asks here has no token yet, or a cookie
PUBLIC = frozenset({"/oauth2", "/.well-known", "/login", "/logout", "/account"})
SERVICE = r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"  # as the chart names services
OWN = frozenset({"/", "/docs", "/openapi.json"})


def _check_prefix(value: str) -> str:
    if not PATH.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError("a path of plain segments without a slash at its end, such as /v1/items, would be right")
    if value in OWN or value.startswith("/docs/"):
        raise ValueError("is the gateway's own")
    return value


def _check_upstream(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL; http://items:8000 would be right") from None
    if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("http://host:port and nothing after it would be right: paths are not rewritten")
    if parts.username or parts.password:
        raise ValueError("must have no user and no password")
    return value.rstrip("/")


class Route(BaseModel):
    """One path and all below it. `timeout_seconds` runs from the end of the request to the beginning of the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Annotated[str, AfterValidator(_check_prefix)]
    upstream: Annotated[str, AfterValidator(_check_upstream)]
    service: str | None = Field(default=None, pattern=SERVICE)  # its name for people; none given: made from the host
    public: bool = False  # whether requests without a token pass
    timeout_seconds: float = Field(default=15, gt=0, le=3600)
    max_body_bytes: int | None = Field(default=None, gt=0)
    limits: tuple[Quota, ...] | None = None  # none written: the usual ones
    without_state: WithoutState = "local"  # what counts while `state` is away

    @model_validator(mode="after")
    def _limits_count(self) -> Self:
        if self.limits is not None:
            check_quotas(self.path, self.limits, public=self.public)
        return self

    @cached_property  # asked for at every request
    def quotas(self) -> tuple[Quota, ...]:
        """The limits that count."""
        return usual_quotas(self.path, public=self.public) if self.limits is None else self.limits

    def covers(self, path: str) -> bool:
        """Whether a path is this one or below it: /v1/items/1, and not /v1/itemsets."""
        return path == self.path or path.startswith(f"{self.path}/")


def parse_routes(document: Any) -> tuple[Route, ...]:
    """Read `{"/v1/items": "http://items:8000", "/login": {"upstream": …, …}}`.

    Raises ValueError naming path and field.
    """
    if not isinstance(document, Mapping) or not document:
        raise ValueError('is no table of routes; {"/v1/items": "http://items:8000"} would be right')
    return tuple(_route(path, entry) for path, entry in document.items())


def _route(path: str, entry: object) -> Route:
    fields = {"upstream": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, Mapping):
        raise ValueError(f"has a wrong route {path}: a URL, or an object with one as its upstream, would be right")  # noqa: TRY004 - of data
    try:
        return Route.model_validate({"public": path in PUBLIC, **fields, "path": path})
    except ValidationError as error:
        found = error.errors()[0]
        field = ".".join(map(str, found["loc"])) or "limits"  # all that a route as a whole can have wrong
        said = str(found["msg"]).removeprefix("Value error, ")
        raise ValueError(f"has a wrong route {path}: {field}: {said}") from None


class Routes:
    """The routes of a gateway; the longest path wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Take them in any order."""
        self.all = sorted(routes, key=lambda route: -len(route.path))
        self.names = {route.upstream: route.service for route in self.all if route.service}
        self._by_path = {route.path: route for route in self.all}
        self._depth = max((route.path.count("/") for route in self.all), default=0)

    def find(self, path: str) -> Route | None:
        """The route of a path that is not ambiguous, or None.

        A route that covers a path is its beginning up to one of its slashes, or all of it: each of these is looked up,
        and no more of them than the deepest route has segments, whatever was asked for and however many routes are.
        """
        found = None
        end = 0
        for _ in range(self._depth):
            end = path.find("/", end + 1)
            if end < 0:
                return self._by_path.get(path, found)
            found = self._by_path.get(path[:end], found)
        return found


class NamedRoutes(BaseRoute):
    """The routes as the framework sees them: names in metrics and traces. What asks for one has been forwarded before.

    One for all of them, since whoever asks the framework for a name asks its routes one after the other.
    """

    name: ClassVar[str] = "forwarded"

    def __init__(self, routes: Routes) -> None:
        """Take the routes that are named."""
        self._routes = routes
        self.path = ""  # of the route that matched last: whoever asks does so at once, before anybody else may match

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what a route covers."""
        route = self._routes.find(scope["path"]) if scope["type"] in {"http", "websocket"} else None
        if route is None:
            return Match.NONE, {}
        self.path = route.path
        return Match.FULL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the base class has it
        """Never reached."""
        raise RuntimeError(f"{self.path} was not forwarded")

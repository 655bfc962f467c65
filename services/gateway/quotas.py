"""How much a route lets through, as it is written in the routes, and what counts where nothing is written."""

import re
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.common.limits import Limit

Per = Literal["principal", "address", "route"]
WithoutState = Literal["open", "closed", "local"]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

PATH = re.compile(r"(/[A-Za-z0-9_.~-]+)+")
MAX_QUOTAS = 8  # of one route: each is a key that Redis reads and writes at each request


def _check_path(value: str) -> str:
    if not PATH.fullmatch(value):  # it stands in headers and in keys
        raise ValueError("a path below the route's, of plain segments without a slash at its end, would be right")
    return value


class Quota(BaseModel):
    """`count` in `seconds` for each principal, for each client address, or for all together; `burst` at once.

    A principal is a subject by one client. An IPv6 address stands for its /64. `path` limits it to a part of the route,
    `methods` to requests of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    per: Per
    count: int = Field(ge=1, strict=True)
    seconds: int = Field(ge=1, le=86_400, strict=True)
    burst: int | None = Field(default=None, ge=1, strict=True)  # by default all of `count`
    path: Annotated[str, AfterValidator(_check_path)] | None = None
    methods: Annotated[frozenset[Method], Field(min_length=1)] | None = None  # none written: all

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        try:
            self.limit("count", 1)
        except ValueError:
            raise ValueError("count, seconds and burst are together too large to be counted exactly") from None
        return self

    @property
    def at_once(self) -> int:
        """The burst."""
        return self.count if self.burst is None else self.burst

    def limit(self, key: str, share: int) -> Limit:
        """What one of so many processes that share it alike lets through by itself: rate and burst divided."""
        return Limit(key, self.count, self.seconds * share, max(1, self.at_once // share))

    @cached_property  # asked for at every request
    def title(self) -> str:
        """What tells it from the others of its route, in headers and in keys: `address-60s-post/login`."""
        methods = "".join(f"-{method.lower()}" for method in sorted(self.methods or ()))
        return f"{self.per}-{self.seconds}s{methods}{self.path or ''}"

    def covers(self, method: str, path: str) -> bool:
        """Whether it counts for a request to a path that its route covers."""
        if self.methods is not None and method not in self.methods:
            return False
        return self.path is None or _is_at_or_below(path, self.path)


# Generous where a token is needed: they stop a loop that has run wild, not a customer. Tight where passwords and
# secrets are tried; auth limits these itself as well, by account. Looking at a page of sign-in tries nothing, and takes
# some requests for what belongs to it
FOR_TOKENS = (
    Quota(per="principal", count=100, seconds=1, burst=200),
    Quota(per="address", count=500, seconds=1, burst=1000),
)
FOR_ANYBODY = (Quota(per="address", count=50, seconds=1, burst=200),)
SIGN_IN = Quota(per="address", count=60, seconds=60, burst=30, path="/login", methods=frozenset({"POST"}))
TOKEN = Quota(per="address", count=120, seconds=60, burst=60, path="/oauth2/token")


def usual_quotas(path: str, *, public: bool) -> tuple[Quota, ...]:
    """What a route has when its entry says nothing of limits."""
    tight = tuple(quota for quota in (SIGN_IN, TOKEN) if _is_at_or_below(str(quota.path), path))
    return (FOR_ANYBODY if public else FOR_TOKENS) + tight


def check_quotas(path: str, quotas: tuple[Quota, ...], *, public: bool) -> None:
    """Raise ValueError for what could never count, or would count the same twice."""
    if len(quotas) > MAX_QUOTAS:
        raise ValueError(f"at most {MAX_QUOTAS} would be right")
    if public and any(quota.per == "principal" for quota in quotas):
        raise ValueError("per principal: a public route knows nobody; address or route would be right")
    for quota in quotas:
        if quota.path is not None and not _is_at_or_below(quota.path, path):
            raise ValueError(f"path: {quota.path} is not below the route")
    if len({quota.title for quota in quotas}) < len(quotas):
        raise ValueError("two with the same per, path, methods and seconds; one of them would be right")


def _is_at_or_below(path: str, route: str) -> bool:
    return path == route or path.startswith(f"{route}/")

"""Settings of the gateway."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from services.common.settings import ServiceSettings, TokenSettings
from services.gateway.routes import Route, parse_routes


def _read_routes(value: object) -> object:
    """Take the routes as JSON, which is what a variable can hold."""
    return parse_routes(_decoded(value)) if isinstance(value, str) else value


def _read_routes_file(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    try:
        text = Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"names {value}, which cannot be read: {error}") from None
    return parse_routes(_decoded(text))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f'is not JSON ({error}); {{"/v1/items": "http://items:8000"}} would be right') from None


def _split_origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"holds {origin!r}, which is no origin; https://app.example.com would be right")
    return origins


RouteTable = Annotated[tuple[Route, ...], NoDecode]


class GatewaySettings(ServiceSettings, TokenSettings):
    """What `serve` reads. The routes come as JSON in ROUTES, or in the file that ROUTES_FILE names."""

    service_name: ClassVar[str] = "gateway"

    routes: Annotated[RouteTable, BeforeValidator(_read_routes)] = ()
    routes_file: Annotated[RouteTable, BeforeValidator(_read_routes_file)] = ()

    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)  # of any route; a route may say less
    max_requests_in_flight: int = Field(default=1000, ge=1)
    max_streams: int = Field(default=2000, ge=1)
    connect_timeout_seconds: float = Field(default=1, gt=0, le=30)
    idle_timeout_seconds: float = Field(default=60, gt=0)  # between two parts of an answer
    resolve_seconds: float = Field(default=2, gt=0, le=2)
    slow_start_seconds: float = Field(default=10, ge=0, le=300)
    token_cache_size: int = Field(default=10_000, ge=0)
    documents_seconds: float = Field(default=30, ge=0)  # between two looks at the services' OpenAPI; 0: none
    limit_replicas: int = Field(default=1, ge=1, le=100)  # gateways that share a limit evenly while `state` is away
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_origins)] = ()
    hsts_seconds: int = Field(default=31_536_000, ge=0)  # 0: not sent

    @model_validator(mode="after")
    def _routes_are_there(self) -> Self:
        if bool(self.routes) == bool(self.routes_file):
            raise ValueError("One of ROUTES and ROUTES_FILE must be set: where each path is served")
        for route in self.table:
            if route.max_body_bytes is not None and route.max_body_bytes > self.max_body_bytes:
                raise ValueError(
                    f"The route {route.path} has a max_body_bytes over MAX_BODY_BYTES={self.max_body_bytes}"
                )
        return self

    @model_validator(mode="after")
    def _services_have_one_name_each(self) -> Self:
        named = sorted({(route.service, route.upstream) for route in self.table if route.service is not None})
        for part in range(2):
            seen = [pair[part] for pair in named]
            for twice in {word for word in seen if seen.count(word) > 1}:
                raise ValueError(f"The routes give {twice} a second service or upstream; one of each would be right")
        return self

    @model_validator(mode="after")
    def _limits_can_be_counted(self) -> Self:
        for route in self.table:
            if route.without_state == "closed" and self.state_url is None:
                raise ValueError(f"The route {route.path} has without_state closed, so STATE_URL must be set")
            try:
                for quota in route.quotas:
                    quota.limit(route.path, self.limit_replicas)
            except ValueError:
                raise ValueError(
                    f"The limits of the route {route.path}, shared among LIMIT_REPLICAS={self.limit_replicas}, are too "
                    "large to be counted exactly"
                ) from None
        return self

    @property
    def table(self) -> tuple[Route, ...]:
        """The routes, wherever they were written."""
        return self.routes or self.routes_file

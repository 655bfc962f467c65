"""What the development issuer is told by its environment."""

from typing import ClassVar, Literal

from pydantic import Field

from services.common.settings import ServiceSettings


class IssuerSettings(ServiceSettings):
    """Settings of the development issuer.

    `environment` admits one value only: with this service in production, everybody would be an administrator.
    """

    service_name: ClassVar[str] = "issuer"

    environment: Literal["development"]  # narrower on purpose, and without a default
    issuer: str = Field(description="The `iss` of every token: the public origin.")
    audience: str = Field(description="The `aud` of every token: the platform's API identifier.")
    token_lifetime_seconds: int = Field(default=3600, ge=1, le=86_400)

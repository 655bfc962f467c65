"""Settings of items."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from services.common.settings import (
    CacheSettings,
    PostgresSettings,
    SecretKey,
    ServiceSettings,
    TokenSettings,
)


class ItemsSettings(ServiceSettings, PostgresSettings, CacheSettings, TokenSettings):
    """What `serve` reads."""

    service_name: ClassVar[str] = "items"

    cursor_key: SecretKey  # signs the cursors of lists; a new one makes the cursors given out before invalid
    cache_soft_lifetime_seconds: float = Field(default=30, gt=0)  # after it one reader refreshes the entry
    cache_hard_lifetime_seconds: float = Field(default=60, gt=0)  # no entry is served after it: bounds staleness

    @model_validator(mode="after")
    def _soft_is_not_longer_than_hard(self) -> Self:
        if self.cache_soft_lifetime_seconds > self.cache_hard_lifetime_seconds:
            raise ValueError("CACHE_SOFT_LIFETIME_SECONDS must not be longer than CACHE_HARD_LIFETIME_SECONDS")
        return self

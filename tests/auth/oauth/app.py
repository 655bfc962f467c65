"""The application as the tests of OAuth see it: its keys, and how often it woke the publisher."""

from dataclasses import dataclass

from fastapi import FastAPI
from joserfc.jwk import KeySet

from services.auth.keys.ring import KeyRing


@dataclass
class Wakes:
    """How often something was to be told at once."""

    count: int = 0


@dataclass(frozen=True)
class OAuthApp:
    """One replica, and the ring of the database's keys that it signs with too."""

    asgi: FastAPI
    ring: KeyRing
    wakes: Wakes

    @property
    def keys(self) -> KeySet:
        """The public keys."""
        return KeySet.import_key_set(self.ring.jwks())  # type: ignore[arg-type]

    @property
    def kid(self) -> str:
        """The one key there is."""
        [key] = self.ring.jwks()["keys"]
        return str(key["kid"])

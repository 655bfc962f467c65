"""Remembering, between a request for a new sign-in and the sign-in, when it was asked for.

A client asks with `prompt=login`, `select_account` or `max_age`. What the sign-in page sends the browser back to is the
same request, with the moment of the asking beside it and a MAC over both: only a sign-in after that moment answers it,
and nobody but us can say that it was earlier.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from services.auth.oauth.requests import Parameters

NAME = "asked_at"  # our own parameter; clients have no use for it
VALID = timedelta(hours=1)


class Marker:
    """Makes and reads the moment when a sign-in was asked for."""

    def __init__(self, token_key: str) -> None:
        """Take TOKEN_KEY; the key is derived for this one purpose."""
        self._key = hmac.digest(token_key.encode(), b"slipway authorization request asked_at", "sha256")

    def make(self, parameters: Parameters, now: datetime) -> str:
        """Microseconds and MAC, bound to all other parameters of the request."""
        moment = str(int(now.timestamp() * 1_000_000))
        return f"{moment}.{self._mac(parameters, moment)}"

    def read(self, parameters: Parameters, now: datetime) -> datetime | None:
        """When the sign-in was asked for; None when nobody asked, or it is not to be believed."""
        moment, _, mac = parameters.values.get(NAME, "").partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(parameters, moment).encode()):
            return None
        asked_at = datetime.fromtimestamp(int(moment) / 1_000_000, UTC)
        return asked_at if now - VALID < asked_at else None

    def _mac(self, parameters: Parameters, moment: str) -> str:
        rest = sorted((name, value) for name, value in parameters.values.items() if name != NAME)
        digest = hashlib.sha256(repr((moment, rest)).encode("utf-8", "surrogatepass")).digest()
        return hmac.new(self._key, digest, "sha256").hexdigest()

"""Access tokens as the tests of keys need them."""

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from services.auth.settings import AuthSettings


def claims(settings: AuthSettings, **changes: Any) -> dict[str, Any]:
    """Those of a good access token."""
    now = int(time.time())
    good = {"iss": settings.issuer, "aud": settings.audience, "sub": "alice", "client_id": "tests", "scope": ""}
    return {**good, "iat": now, "exp": now + settings.access_token_seconds, **changes}


def signed_by(key: RSAKey, content: dict[str, Any]) -> str:
    """A token by whoever has this key."""
    header = {"alg": "RS256", "typ": "at+jwt", "kid": key.thumbprint()}
    return jwt.encode(header, content, key, algorithms=["RS256"])

"""The two cookies of the sign-in pages: whom their forms belong to, and what is remembered from one to the next.

What is remembered is sealed (AES-256-GCM) for one purpose and a quarter of an hour, so that it stands in no URL and no
database: who has yet to show a second factor, which mailed code is waited for, where to go on to, and recovery codes
until they were shown.
"""

import base64
import binascii
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.responses import Response

PRE_SESSION = "__Host-pre-session"
STEP = "__Host-step"
NONCE_BYTES = 12
BINDING_BYTES = 32
LIFETIME_SECONDS = 15 * 60
MOST_BYTES = 4096  # of name and value together; what is longer browsers drop (RFC 6265bis 5.6)


class Purpose(StrEnum):
    """What a browser is in the middle of."""

    SIGN_IN = "sign_in"
    SECOND_FACTOR = "second_factor"
    NEW_PASSWORD = "new_password"  # noqa: S105 - the name of a step
    SIGN_UP = "sign_up"
    RESET = "reset"
    AUTHENTICATOR = "authenticator"
    RECOVERY_CODES = "recovery_codes"


class Steps:
    """Seals and opens what is remembered."""

    def __init__(self, token_key: str) -> None:
        """Take TOKEN_KEY; the key is derived for this one purpose."""
        self._cipher = AESGCM(hmac.digest(token_key.encode(), b"slipway pages steps", "sha256"))

    def seal(self, purpose: Purpose, values: Mapping[str, str]) -> str:
        """The cookie's value. Nothing in it can be read or changed, or used for another purpose."""
        nonce, until = os.urandom(NONCE_BYTES), int(time.time()) + LIFETIME_SECONDS
        told = json.dumps({"until": until, "values": dict(values)}, ensure_ascii=False, separators=(",", ":"))
        sealed = nonce + self._cipher.encrypt(nonce, told.encode("utf-8", "surrogatepass"), purpose.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, purpose: Purpose, value: str | None) -> dict[str, str] | None:
        """What was remembered; None when that is nothing, too old, or of another purpose."""
        if value is None:
            return None
        try:
            sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            told = json.loads(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()))
        except (ValueError, binascii.Error, InvalidTag):
            return None
        values: dict[str, str] = told["values"]
        return values if told["until"] > time.time() else None


def new_binding() -> str:
    """What a browser's forms are bound to before anybody is signed in."""
    return secrets.token_urlsafe(BINDING_BYTES)


def set_binding(response: Response, value: str) -> None:
    """Until the browser is closed. Lax: who comes from a client's site does not lose what other tabs are bound to."""
    response.set_cookie(PRE_SESSION, value, path="/", secure=True, httponly=True, samesite="lax")


def set_step(response: Response, value: str) -> None:
    """Until it is opened in vain anyway. Lax: one comes from a client's site, and goes on from a mail."""
    response.set_cookie(STEP, value, max_age=LIFETIME_SECONDS, path="/", secure=True, httponly=True, samesite="lax")


def clear_step(response: Response) -> None:
    """Have the browser forget what it was in the middle of."""
    response.delete_cookie(STEP, path="/", secure=True, httponly=True, samesite="lax")

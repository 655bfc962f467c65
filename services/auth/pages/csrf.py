"""Forms that only our own pages can send (OWASP's cheat sheet on CSRF: a signed token bound to the browser).

What a browser tells of a request's origin is believed first; a token in the form is asked for in any case.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

NONCE_BYTES = 16
DEFAULT_PORTS = {"http": 80, "https": 443}


class Csrf:
    """Makes and checks tokens. Those of the sign-in pages are bound to a cookie, those of others to the session."""

    def __init__(self, token_key: str) -> None:
        """Take TOKEN_KEY; the key is derived for this one purpose."""
        self._key = hmac.digest(token_key.encode(), b"slipway pages csrf", "sha256")

    def make(self, binding: str) -> str:
        """A token, another one each time: a compressed answer betrays nothing of it (BREACH)."""
        nonce = os.urandom(NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._mac(nonce, binding)).rstrip(b"=").decode()

    def check(self, token: str, binding: str) -> bool:
        """Whether the token was made for this binding."""
        try:
            given = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (ValueError, binascii.Error):
            return False
        nonce, mac = given[:NONCE_BYTES], given[NONCE_BYTES:]
        return bool(binding) and hmac.compare_digest(mac, self._mac(nonce, binding))

    def _mac(self, nonce: bytes, binding: str) -> bytes:
        return hmac.digest(self._key, nonce + binding.encode("utf-8", "surrogatepass"), "sha256")


def is_foreign(headers: Mapping[str, str], issuer: str) -> bool:
    """Whether the browser says that another site's page sent the form; old browsers say nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    return (origin is not None and origin != origin_of(issuer)) or (site is not None and site != "same-origin")


def origin_of(url: str) -> str:
    """Scheme, host and port as browsers write them in Origin (RFC 6454 6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"

"""Makes access tokens that are wrong in one thing and right in all others."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import RSAKey

Sign = Callable[[bytes], bytes]


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def encoded(value: object) -> str:
    """A part of a token; text and bytes as they are, to say what JSON libraries would not."""
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


@dataclass(frozen=True)
class Forger:
    """Makes tokens as the issuer would, with its own key, save for what is asked for."""

    key: RSAKey
    issuer: str
    audience: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def header(self, **changes: Any) -> dict[str, Any]:
        """A good header with some of it changed or (None) left out."""
        usual = {"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, likewise."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": self.audience, "sub": "alice", "client_id": "tests", "iat": now}
        usual |= {"exp": now + 300, "scope": "items:read", **self.more}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def token(self, header: object = None, claims: object = None, sign: Sign | None = None) -> str:
        """Header and claims as they are given, else good ones, and the signature over them."""
        signed = f"{encoded(self.header() if header is None else header)}."
        signed += encoded(self.claims() if claims is None else claims)
        return f"{signed}.{b64((sign or rs256(self.key))(signed.encode()))}"

    def with_header(self, **changes: Any) -> str:
        return self.token(header=self.header(**changes))

    def with_claims(self, **changes: Any) -> str:
        return self.token(claims=self.claims(**changes))

    def text(self, **changes: Any) -> bytes:
        """Good claims as JSON, to be spoilt."""
        return json.dumps(self.claims(**changes)).encode()


def rs256(key: RSAKey) -> Sign:
    return lambda signed: key.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr]


def ps256(key: RSAKey) -> Sign:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return lambda signed: key.private_key.sign(signed, pss, hashes.SHA256())  # type: ignore[union-attr]


def rs512(key: RSAKey) -> Sign:
    return lambda signed: key.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA512())  # type: ignore[union-attr]


def es256(signed: bytes) -> bytes:
    signature = ec.generate_private_key(ec.SECP256R1()).sign(signed, ec.ECDSA(hashes.SHA256()))
    return b"".join(number.to_bytes(32) for number in decode_dss_signature(signature))


def hs256(secret: bytes) -> Sign:
    return lambda signed: hmac.digest(secret, signed, "sha256")


def nothing(_: bytes) -> bytes:
    return b""

"""Access tokens that must never be believed, one table for every service, and other ways to present a good one.

Most are signed with the key that the service trusts, so that each is refused for the one thing that is wrong with it.
"""

import json
import secrets
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import RSAKey

from tests.support.forger import Forger, b64, encoded, es256, hs256, nothing, ps256, rs256, rs512
from tests.support.tokens import new_key

STRANGER = new_key()
ANOTHER = "b70e7c4e-the-words-of-another-token"
DEEP = 2500
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"  # of base64url

Forgery = Callable[[Forger], str]


def _header(**changes: Any) -> Forgery:
    return lambda forger: forger.with_header(**changes)


def _claims(**changes: Any) -> Forgery:
    return lambda forger: forger.with_claims(**changes)


def _at(name: str, seconds: float) -> Forgery:
    return lambda forger: forger.with_claims(**{name: int(time.time() + seconds)})


def _without_signature(alg: Any) -> Forgery:
    return lambda forger: forger.token(header=forger.header(alg=alg), sign=nothing)


def _hmac(secret: Callable[[RSAKey], bytes]) -> Forgery:
    return lambda forger: forger.token(header=forger.header(alg="HS256"), sign=hs256(secret(forger.key)))


def _by_stranger(**header: Any) -> Forgery:
    return lambda forger: forger.token(header=forger.header(**header), sign=rs256(STRANGER))


def _payload(value: bytes) -> Forgery:
    return lambda forger: forger.token(claims=value)


def _parts(change: Callable[[list[str]], str]) -> Forgery:
    return lambda forger: change(forger.token().split("."))


def _other_last_bits(part: str) -> str:
    """The same bytes to a careless decoder: of the last of 342 characters, say, four bits mean nothing."""
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) ^ 1]


def _signed_other_last_bits(forger: Forger) -> str:
    claims = forger.text()
    claims += b" " * (-len(claims) % 3 + 1)  # so that there are such bits
    signed = f"{encoded(forger.header())}.{_other_last_bits(encoded(claims))}"
    return f"{signed}.{b64(rs256(forger.key)(signed.encode()))}"


def _of_another(forger: Forger) -> str:
    signature = forger.with_claims(jti=ANOTHER).rpartition(".")[2]
    return f"{forger.token().rpartition('.')[0]}.{signature}"


def _changed_after_signing(forger: Forger) -> str:
    header, _, signature = forger.token().split(".")
    return f"{header}.{encoded(forger.claims(scope='items:admin users:admin'))}.{signature}"


def _json_serialization(forger: Forger) -> str:
    header, payload, signature = forger.token().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


NO_TIMES: list[Any] = [
    "9999999999",
    True,
    [],
    {},
    -1,
    10**400,
    float("nan"),
    float("inf"),
    float("-inf"),
]
NO_IDS: list[Any] = [7, ["a"], {}]
NO_SUBJECTS: list[Any] = ["", 7, ["alice"], {"a": 1}, "a\0", "\ud800", "\udfff"]
PUBLIC = STRANGER.as_dict(private=False)
TOKENS: dict[str, Forgery] = {
    **{f"alg {alg!r} without signature": _without_signature(alg) for alg in ("none", "None", "NONE", "nOnE", "", None)},
    "alg none with a good signature": _header(alg="none"),
    "alg RS256 without signature": _without_signature("RS256"),
    "HS256 with the public key as PEM": _hmac(lambda key: key.as_pem(private=False)),
    "HS256 with the public key as DER": _hmac(lambda key: key.as_der(private=False)),
    "HS256 with the public key as JWK": _hmac(lambda key: json.dumps(key.as_dict(private=False)).encode()),
    "HS256 with the modulus": _hmac(lambda key: str(key.as_dict(private=False)["n"]).encode()),
    "HS256 with nothing": _hmac(lambda _: b""),
    "RS256 that is an HMAC": lambda f: f.token(sign=hs256(f.key.as_pem(private=False))),
    "ES256": lambda f: f.token(header=f.header(alg="ES256"), sign=es256),
    "PS256 with the right key": lambda f: f.token(header=f.header(alg="PS256"), sign=ps256(f.key)),
    "RS512 with the right key": lambda f: f.token(header=f.header(alg="RS512"), sign=rs512(f.key)),
    "alg in lower case": _header(alg="rs256"),
    "alg as a list": _header(alg=["RS256"]),
    "a key's address (jku) of a stranger": _by_stranger(jku="https://evil.example/jwks.json"),
    "a key's address (jku) in a token of ours": _header(jku="https://evil.example/jwks.json"),
    "a key (jwk) of a stranger": _by_stranger(jwk=PUBLIC, kid=None),
    "a key (jwk) under our kid": _by_stranger(jwk=PUBLIC),
    "a certificate's address (x5u)": _by_stranger(x5u="https://evil.example/cert.pem"),
    "a certificate (x5c)": _by_stranger(x5c=["MIIB"]),
    "crit": _header(crit=["exp"]),
    "b64 false": _header(b64=False, crit=["b64"]),
    "zip": _header(zip="DEF"),
    "a stranger's key under our kid": _by_stranger(),
    "a stranger's key under its own kid": _by_stranger(kid=STRANGER.kid),
    "no kid": _header(kid=None),
    **{
        f"kid {kid!r:.40}": _header(kid=kid)
        for kid in (
            "",
            "../../../../../../dev/null",
            "/etc/passwd",
            "x' UNION SELECT 'key' --",
            "key; DROP TABLE signing_keys",
            "https://evil.example/key",
            "a\0b",
            "\ud800",
            "k" * 10_000,
            ["array"],
            {"object": 1},
            7,
            True,
        )
    },
    **{
        f"typ {typ!r}": _header(typ=typ)
        for typ in ("JWT", "logout+jwt", "secevent+jwt", "application/jwt", "at", "at+jwt ", "", ["at+jwt"], None)
    },
    "an ID token": lambda f: f.token(f.header(typ="JWT"), f.claims(aud="tests", nonce="n", auth_time=1)),
    "an ID token under an access token's typ": lambda f: f.with_claims(aud="tests", nonce="n", auth_time=1),
    **{
        f"aud {name}": lambda f, change=change: f.with_claims(aud=change(f.audience))  # type: ignore[misc]
        for name, change in {
            "of another": lambda _: "another",
            "of others": lambda aud: ["another", f"{aud}-2"],
            "with ours inside": lambda aud: f"x{aud}x",
            "with ours as prefix": lambda aud: f"{aud}.evil.example",
            "that is a prefix of ours": lambda aud: aud[:-1],
            "in capitals": lambda aud: aud.upper(),
            "with a space": lambda aud: f"{aud} ",
            "of words": lambda aud: f"{aud} another",
            "as an object": lambda aud: {aud: True},
            "nested": lambda aud: [[aud]],
            "beside a number": lambda aud: [aud, 7],
            "empty": lambda _: "",
            "of none": lambda _: [],
            "missing": lambda _: None,
        }.items()
    },
    **{
        f"iss {name}": lambda f, change=change: f.with_claims(iss=change(f.issuer))  # type: ignore[misc]
        for name, change in {
            "of another": lambda _: "https://evil.example",
            "with a slash at its end": lambda iss: f"{iss}/",
            "in capitals": lambda iss: iss.upper(),
            "over http": lambda iss: iss.replace("https:", "http:"),
            "with ours as prefix": lambda iss: f"{iss}.evil.example",
            "with ours as user": lambda iss: f"{iss}@evil.example",
            "as a list": lambda iss: [iss],
            "empty": lambda _: "",
            "missing": lambda _: None,
        }.items()
    },
    "expired": _at("exp", -120),
    "not yet valid": _at("nbf", 120),
    "issued in the future": _at("iat", 120),
    **{f"{name} missing": _claims(**{name: None}) for name in ("exp", "iat", "sub", "client_id")},
    **{f"{name} {value!r:.20}": _claims(**{name: value}) for name in ("exp", "iat", "nbf") for value in NO_TIMES},
    "exp that overflows": lambda f: f.token(claims=f.text().replace(b'"exp": ', b'"exp": 1e999, "was": ')),
    "NaN where nobody looks": _claims(other=float("nan")),
    **{f"sub {value!r:.20}": _claims(sub=value) for value in NO_SUBJECTS},
    **{f"client_id {value!r}": _claims(client_id=value) for value in NO_IDS},
    **{f"scope {value!r}": _claims(scope=value) for value in (["items:read"], 7, {"items:read": True})},
    **{f"{name} {value!r}": _claims(**{name: value}) for name in ("sid", "jti", "grant_id") for value in NO_IDS},
    "roles that are no list": _claims(roles="admin"),
    "claims with a member twice": lambda f: f.token(claims=f.text()[:-1] + b', "sub": "root"}'),
    "an object inside with a member twice": lambda f: f.token(claims=f.text()[:-1] + b', "a": {"b": 1, "b": 2}}'),
    "a header with a member twice": lambda f: f.token(json.dumps(f.header()).encode()[:-1] + b', "alg": "RS256"}'),
    "claims that are a list": _payload(b"[]"),
    "claims that are null": _payload(b"null"),
    "claims that are a number": _payload(b"7"),
    "claims that are a string": _payload(b'"alice"'),
    "claims that are nothing": _payload(b""),
    "claims that are no UTF-8": _payload(b'{"sub": "\xff"}'),
    "claims in UTF-16": lambda f: f.token(claims=f.text().decode().encode("utf-16")),
    "claims after a byte order mark": lambda f: f.token(claims=b"\xef\xbb\xbf" + f.text()),
    "claims with something behind them": lambda f: f.token(claims=f.text() + b"{}"),
    "claims of lists in lists": _payload(b"[" * DEEP),
    "a claim of objects in objects": lambda f: f.token(
        claims=f.text()[:-1] + b', "a": ' + b'{"a":' * 800 + b"1" + b"}" * 800 + b"x}"
    ),
    "a header of lists in lists": lambda f: f.token(header=b"[" * DEEP),
    "a header that is a list": lambda f: f.token(header=b"[]"),
    "a token of 10 kB": _claims(other="x" * 10_000),
    "no signature part": _parts(lambda parts: ".".join(parts[:2])),
    "the signature stripped": _parts(lambda parts: ".".join([*parts[:2], ""])),
    "the signature truncated": _parts(lambda parts: ".".join([*parts[:2], parts[2][:-4]])),
    "the signature with something behind it": _parts(lambda parts: ".".join([*parts[:2], f"{parts[2]}AAAA"])),
    "a signature of zeros": lambda f: f.token(sign=lambda _: bytes(256)),
    "the signature of another token": _of_another,
    "claims changed after signing": _changed_after_signing,
    "padding": _parts(lambda parts: ".".join([*parts[:2], f"{parts[2]}=="])),
    "other last bits in the signature": _parts(lambda parts: ".".join([*parts[:2], _other_last_bits(parts[2])])),
    "other last bits in claims that were signed so": _signed_other_last_bits,
    "a character in the signature that decoders skip": _parts(lambda parts: ".".join([*parts[:2], f"{parts[2]}!"])),
    "a space inside": _parts(lambda parts: f"{parts[0]}.{parts[1]}. {parts[2]}"),
    "one part": _parts(lambda parts: parts[1]),
    "four parts": _parts(lambda parts: ".".join([*parts, "e30"])),
    "five parts, as if encrypted": _parts(lambda parts: ".".join([*parts, parts[1], parts[2]])),
    "a dot in front": _parts(lambda parts: "." + ".".join(parts)),
    "a token twice": _parts(lambda parts: ".".join([*parts, *parts])),
    "in JSON": _json_serialization,
    "dots": lambda _: "..",
    "no token at all": lambda _: f"nonsense-{secrets.token_hex(8)}",
    "bytes that are no text": lambda _: "\xff\xfe\xfd.\xff.\xff",
}


@dataclass(frozen=True)
class Presented:
    """Where in a request a token stands."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    query: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: dict[str, str] | None = None


PRESENTATIONS: dict[str, Callable[[str], Presented]] = {
    "nowhere": lambda _: Presented(),
    "in the query": lambda token: Presented(query={"access_token": token}),
    "in the body": lambda token: Presented(method="POST", body={"access_token": token}),
    "in a cookie": lambda token: Presented([("Cookie", f"access_token={token}; Authorization=Bearer {token}")]),
    "in two headers": lambda token: Presented([("Authorization", f"Bearer {token}")] * 2),
    "in two headers, one of them empty": lambda token: Presented(
        [("Authorization", f"Bearer {token}"), ("Authorization", "")]
    ),
    "twice in one header": lambda token: Presented([("Authorization", f"Bearer {token}, Bearer {token}")]),
    "without a scheme": lambda token: Presented([("Authorization", token)]),
    "under another scheme": lambda token: Presented([("Authorization", f"Token {token}")]),
    "as DPoP": lambda token: Presented([("Authorization", f"DPoP {token}")]),
    "in another header": lambda token: Presented([("X-Authorization", f"Bearer {token}")]),
    "in quotes": lambda token: Presented([("Authorization", f'Bearer "{token}"')]),
    "with more behind it": lambda token: Presented([("Authorization", f"Bearer {token} x")]),
}

"""Other proxies with a token check and a limit, as far as each has one without extensions."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from joserfc.jwk import RSAKey

from tests.bench.gateway import MANY, Surroundings, beside, named, running, surroundings, target
from tests.bench.proxies import ENVOY, HAPROXY, envoy_command, nginx, traefik
from tests.bench.questions import Measure, Question, Ratio
from tests.bench.servers import Running, process
from tests.support.tokens import AUDIENCE, ISSUER

HAPROXY_GUARDS = """
    stick-table type ip size 100k store http_req_rate(1s)
    http-request track-sc0 src
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {many} }}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify("RS256","{key}") -m int 1 }}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_payload_query('$.iss') -m str {issuer} }}
"""
ENVOY_GUARDS = """
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                slipway:
                  issuer: {issuer}
                  audiences: [{audience}]
                  forward: true
                  local_jwks: {{inline_string: {keys}}}
                  jwt_cache_config: {{jwt_cache_size: 1000}}
              rules: [{{match: {{prefix: "/"}}, requires: {{provider_name: slipway}}}}]
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: {{max_tokens: {many}, tokens_per_fill: {many}, fill_interval: 1s}}
              filter_enabled: {{default_value: {{numerator: 100}}}}
              filter_enforced: {{default_value: {{numerator: 100}}}}
"""


def jwks(around: Surroundings) -> dict[str, list[dict[str, str]]]:
    """The issuer's public keys."""
    with urlopen(around.keys, timeout=10) as answer:  # noqa: S310 - of a server that we have started
        found: dict[str, list[dict[str, str]]] = json.load(answer)
    return found


def refuse_forged(around: Surroundings, started: Running) -> None:
    """Raise InvalidRunError for a proxy that lets a token pass whose signature is another's."""
    real = around.requests[0]
    token = real.headers["Authorization"]
    forged = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
    headers = {**real.headers, "Authorization": forged}
    asked = replace(target(around, started), requests=(replace(real, headers=headers),), status=401, body=None)
    asked.prove()


@contextmanager
def ours(around: Surroundings) -> Generator[Measure]:
    """The gateway with tokens and limits."""
    with running(around, frozenset({"token", "limits"})) as started:
        refuse_forged(around, started)
        yield target(around, started).measure


@contextmanager
def haproxy(around: Surroundings) -> Generator[Measure]:
    """HAProxy: the signature (each time) and the issuer of a token, and a limit by address."""
    (key,) = jwks(around)["keys"]

    def command(folder: Path, port: int) -> list[str]:
        file, pem = folder / "haproxy.cfg", folder / "key.pem"
        pem.write_bytes(RSAKey.import_key(dict(key)).as_pem(private=False))
        guards = HAPROXY_GUARDS.format(many=MANY, key=pem, issuer=ISSUER)
        file.write_text(HAPROXY.format(port=port, upstream=around.upstream.port, guards=guards))
        return ["haproxy", "-f", str(file)]

    with process(command) as started:
        refuse_forged(around, started)
        yield target(around, started, client_may_be_full=True).measure


@contextmanager
def envoy(around: Surroundings) -> Generator[Measure]:
    """Envoy: tokens with issuer and audience, which it remembers, and a limit on all requests together."""
    keys = json.dumps(json.dumps(jwks(around)))
    guards = ENVOY_GUARDS.format(issuer=ISSUER, audience=AUDIENCE, keys=keys, many=MANY)

    def command(folder: Path, port: int) -> list[str]:
        return envoy_command(folder, ENVOY.format(port=port, upstream=around.upstream.port, guards=guards))

    with process(command) as started:
        refuse_forged(around, started)
        yield target(around, started, client_may_be_full=True).measure


@contextmanager
def limiting(around: Surroundings) -> Generator[Measure]:
    """Traefik with a limit by address; it checks no tokens itself."""
    with traefik(around.upstream.port, limit=MANY) as started:
        yield target(around, started, client_may_be_full=True).measure


GUARDED = "gateway, token and limits"
SIDES = {
    GUARDED: ours,
    "HAProxy, token and limit": haproxy,
    "Envoy, token and limit": envoy,
    "nginx, limit and log": named(beside, start=partial(nginx, everything=True)),
    "Traefik, limit": limiting,
}
QUESTIONS = (
    Question(
        name="gateway-guards",
        group="gateway",
        asks="And with a token check and a limit, where they have one?",
        environment=surroundings,
        sides=SIDES,
        ratios=tuple(Ratio(GUARDED, peer, "requests_per_cpu_s") for peer in SIDES if peer != GUARDED),
        rounds=4,
        seconds=2,
        notes=(
            "the gateway counts limits in Redis, together with its other replicas; the others each in their own memory",
            "HAProxy checks the signature each time, the gateway and Envoy remember tokens that were good",
            "the gateway also asks whether a token was revoked",
            "nginx and Traefik have no check of tokens that is free",
        ),
        needs={"wrk": "wrk", "nginx": "nginx-light", "haproxy": "haproxy"},
    ),
)

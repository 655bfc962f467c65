"""Nobody outside can say who asks, whence, or by which way: as a table, sent raw over sockets."""

import itertools
from collections.abc import AsyncIterator

import pytest

from services.gateway.headers import HOP_BY_HOP, PASSED
from tests.gateway.conftest import Gateway, MakeGateway, Pod, answering, pod
from tests.support.tokens import Issuer

HEAD = b"GET /v1/a HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n"

IDENTITY = [
    "X-User-Id", "X-User", "X-Username", "X-Email", "X-Roles", "X-Scopes", "X-Scope", "X-Subject", "X-Principal",
    "X-Client-Id", "X-Tenant", "X-Admin", "X-Internal", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Remote-User",
    "Remote-User", "X-WebAuth-User", "X-Authenticated-User", "X-Authenticated-UserId", "X-Consumer-Username",
    "X-Consumer-Id", "X-Credential-Identifier", "X-Jwt-Payload", "X-Endpoint-API-UserInfo", "X-Userinfo",
    "X-Goog-Authenticated-User-Email", "Tailscale-User-Login", "SSL-Client-Verify", "SSL-Client-S-DN",
    "X-SSL-Client-CN", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert",
]  # fmt: skip
FORWARDING = [
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Scheme",
    "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Method", "X-Forwarded-Uri",
    "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Access-Token", "X-Forwarded-Ssl",
    "X-Forwarded", "Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "Client-IP",
    "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Original-Forwarded-For", "X-Original-Host",
    "X-Original-Method", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Host", "X-HTTP-Host-Override",
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Envoy-Original-Path",
    "X-Envoy-External-Address", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Request-Timeout-Ms", "X-Request-Deadline-Ms",
    "X-Url-Scheme", "X-Scheme", "Front-End-Https", "X-ProxyUser-Ip", "X-Script-Name", "Script-Name",
]  # fmt: skip
SPELLINGS = {
    "as it is": lambda name: name,
    "lower case": str.lower,
    "upper case": str.upper,
    "mixed case": str.swapcase,
    "underscores": lambda name: name.replace("-", "_"),
    "one underscore": lambda name: name.replace("-", "_", 1),
}
CASES = [
    pytest.param(spell(name), id=f"{name}: {how}")
    for name, (how, spell) in itertools.product(IDENTITY + FORWARDING, SPELLINGS.items())
]


@pytest.fixture(scope="module")
async def recorder() -> AsyncIterator[Pod]:
    async with pod(answering()) as standing:
        yield standing


@pytest.fixture(scope="module")
async def gateway(make_gateway: MakeGateway, recorder: Pod) -> AsyncIterator[Gateway]:
    async with make_gateway({"/v1/a": recorder.url}) as made:
        yield made


async def arrived(gateway: Gateway, recorder: Pod, *headers: bytes) -> list[str] | None:
    """The lines that the pod got, or None when the gateway refused the request."""
    recorder.heads.clear()
    answer = await gateway.exchange(HEAD + b"".join(header + b"\r\n" for header in headers) + b"\r\n")
    if not recorder.heads:
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        return None
    return recorder.heads[0].decode("latin-1").split("\r\n")


@pytest.mark.parametrize("name", CASES)
async def test_no_spelling_of_an_identity_or_a_way_is_believed(gateway: Gateway, recorder: Pod, name: str) -> None:
    for value in (b"6.6.6.6-admin", b"  6.6.6.6-admin\t", b"127.0.0.1, 6.6.6.6-admin"):
        lines = await arrived(gateway, recorder, name.encode() + b": " + value, name.encode() + b":" + value)

        assert lines is not None
        assert "6.6.6.6" not in "\n".join(lines)
        assert "evil.example" not in "\n".join(lines)


ODD = {
    "a space before the colon": b"X-User-Id : admin",
    "a tab before the colon": b"X-User-Id\t: admin",
    "a line that is folded": b"Accept: a\r\n X-User-Id: admin",
    "a line that is folded by a tab": b"Accept: a\r\n\tX-User-Id: admin",
    "a name that begins with a space": b" X-User-Id: admin",
    "a name behind NUL": b"\0X-User-Id: admin",
    "NUL in a name": b"X-User\0-Id: admin",
    "a name behind CR": b"Accept: a\rX-User-Id: admin",
    "a name behind LF": b"Accept: a\nX-User-Id: admin",
    "an empty name": b": admin",
    "a name without value": b"X-User-Id",
    "a name in Unicode": "X-User-Id\u2028: admin".encode(),
    "a vertical tab in a name": b"X-User\x0b-Id: admin",
    "a quoted name": b'"X-User-Id": admin',
    "a long s": "X-U\u017fer-Id: admin".encode(),
    "a dot for the dash": b"X.User.Id: admin",
    "an empty value and another": b"X-User-Id:\r\nX-User-Id: admin",
    "two dashes": b"X--User--Id: admin",
    "CGI's own name": b"HTTP_X_USER_ID: admin",
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
async def test_odd_lines_are_refused_or_dropped(gateway: Gateway, recorder: Pod, line: bytes) -> None:
    lines = await arrived(gateway, recorder, line)

    assert lines is None or "admin" not in "\n".join(lines)


async def test_the_gateway_says_by_itself_who_asked_and_by_which_way(gateway: Gateway, recorder: Pod) -> None:
    lines = await arrived(gateway, recorder, b"X-Request-ID: 12345678-abcdefgh")

    assert lines is not None
    assert sorted(lines[1:-2]) == [
        f"host: 127.0.0.1:{recorder.port}",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-request-id: 12345678-abcdefgh",
        "x-request-timeout-ms: 15000",
    ]


async def test_a_trusted_proxy_says_whence_the_client_came(make_gateway: MakeGateway, recorder: Pod) -> None:
    async with make_gateway(
        {"/v1/a": recorder.url}, trusted_proxies="127.0.0.0/8, 10.0.0.0/8", issuer="http://slipway.test"
    ) as gateway:
        lines = await arrived(
            gateway, recorder, b"X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.1", b"X-Forwarded-Proto: http, https"
        )

    assert lines is not None
    assert [line for line in lines if "forwarded" in line] == ["x-forwarded-proto: https", "x-forwarded-for: 192.0.2.7"]


@pytest.mark.parametrize("name", sorted(PASSED))
async def test_what_services_need_passes_unchanged(gateway: Gateway, recorder: Pod, name: bytes) -> None:
    lines = await arrived(gateway, recorder, name + b": one, two", name.upper() + b": three")

    assert lines is not None
    assert [line for line in lines if line.startswith(f"{name.decode()}: ")] == [
        f"{name.decode()}: one, two",
        f"{name.decode()}: three",
    ]


async def test_cookies_go_to_public_routes_alone(make_gateway: MakeGateway, recorder: Pod, issuer: Issuer) -> None:
    """Where a token says who asks, the session of the sign-in pages is not for the service to see."""
    routes = {"/v1/a": recorder.url, "/v1/a/b": {"upstream": recorder.url, "public": False}}
    headers = issuer.headers() | {"Cookie": "__Host-session=secret", "Accept": "a"}
    async with make_gateway(routes) as gateway:
        for path in routes:
            recorder.heads.clear()
            assert (await gateway.client.get(path, headers=headers)).status_code == 200
            said = recorder.heads[0].decode("latin-1")
            assert "accept: a" in said
            assert ("__Host-session=secret" in said) is (path == "/v1/a")


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {b"connection", b"transfer-encoding"}))
async def test_what_is_for_one_hop_stops_here(gateway: Gateway, recorder: Pod, name: bytes) -> None:
    lines = await arrived(gateway, recorder, name + b": one-hop")

    assert lines is not None
    assert "one-hop" not in "\n".join(lines)


@pytest.mark.parametrize(
    "spelling", [b"Accept-Language", b"ACCEPT-LANGUAGE", b"x, accept-language ,y", b",accept-language"]
)
async def test_what_connection_names_is_for_one_hop(gateway: Gateway, recorder: Pod, spelling: bytes) -> None:
    lines = await arrived(gateway, recorder, b"Connection: " + spelling, b"Accept-Language: de", b"Accept: a")

    assert lines is not None
    assert "accept: a" in lines
    assert not any("accept-language" in line for line in lines)


async def test_connection_cannot_name_the_gateways_own_words_away(gateway: Gateway, recorder: Pod) -> None:
    names = b"Connection: x-request-id, x-forwarded-for, x-forwarded-proto, host, content-length"
    lines = await arrived(gateway, recorder, names)

    assert lines is not None
    assert len([line for line in lines if line.startswith(("x-request-id", "x-forwarded-", "host"))]) == 4


ANSWERED = {
    "Keep-Alive: timeout=5": False,
    "Proxy-Authenticate: Basic": False,
    "Trailer: X-Sum": False,
    "Upgrade: h2c": False,
    "TE: trailers": False,
    "Server: uvicorn": False,
    "X-Request-ID: anothers": False,
    "Connection: X-Drop, keep-alive\r\nX-Drop: 1": False,
    "X-Kept: 1": True,
    "Set-Cookie: a=1\r\nSet-Cookie: b=2": True,
    "Content-Encoding: gzip": True,
    "WWW-Authenticate: Bearer": True,
    'ETag: W/"1"': True,
    "Location: /v1/a/2": True,
}


@pytest.mark.parametrize("lines", ANSWERED)
async def test_answers_pass_without_what_is_for_one_hop(lines: str, make_gateway: MakeGateway) -> None:
    said = f"HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 5\r\n\r\nhello".encode()
    async with pod(answering(said)) as standing, make_gateway({"/v1/a": standing.url}) as gateway:
        answer = (await gateway.exchange(HEAD + b"\r\n")).decode().lower()

    for line in lines.lower().split("\r\n"):
        assert (line in answer) is ANSWERED[lines], answer
    assert answer.count("\r\ndate: ") == 1

"""Each request has an id, a client address and one line in the log."""

import json
from typing import Any

import httpx2
import pytest

from services.common.addresses import client_address, is_from
from services.common.settings import ServiceSettings
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client


def lines(capsys: pytest.CaptureFixture[str], event: str = "request_finished") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in found if line["event"] == event]


@pytest.mark.parametrize(
    "given", ["b5a0c1a0-4a5e-4a5e-8a5e-0123456789ab", "A" * 16, "z_-9" * 16, "B5A0C1A0-4A5E-4A5E-8A5E-0123456789AB"]
)
async def test_a_well_formed_request_id_is_kept(client: httpx2.AsyncClient, given: str) -> None:
    answer = await client.get("/v1/sample/ping", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "spaces are not allowed", "<script>alert(1)</script>", "é" * 20]
)
async def test_any_other_request_id_is_replaced(client: httpx2.AsyncClient, given: str) -> None:
    answer = await client.get("/v1/sample/ping", headers={b"X-Request-ID": given.encode()})

    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 36


async def test_each_request_has_an_id_of_its_own(client: httpx2.AsyncClient) -> None:
    ids = {(await client.get("/v1/sample/ping")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5


async def test_one_line_tells_of_a_request(client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = await client.get("/v1/sample/slow/0.01?password=hunter2", headers={"X-Request-ID": "c" * 20})

    (line,) = lines(capsys)
    assert answer.status_code == 200
    assert list(line)[:5] == ["timestamp", "level", "service", "event", "request_id"]
    assert line["service"] == "sample"
    assert line["request_id"] == "c" * 20
    assert (line["method"], line["handler"], line["status"]) == ("GET", "/v1/sample/slow/{seconds}", 200)
    assert line["duration_ms"] >= 10
    assert line["client_address"] == "127.0.0.1"
    assert "hunter2" not in json.dumps(line)


async def test_an_unknown_path_is_not_logged(client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    await client.get("/tokens/s3cr3t")

    (line,) = lines(capsys)
    assert line["handler"] == "none"
    assert "s3cr3t" not in json.dumps(line)


TRUSTED = ServiceSettings(trusted_proxies="10.0.0.0/8, fd00::/8").trusted_proxies


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),  # a stranger's header is not believed
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),  # what a client wrote further left neither
        ("10.0.0.1", ["1.2.3.4, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.7"], "198.51.100.7"),  # two headers are one list
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["garbage"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, garbage, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["1.1.1.1, " * 5000 + "198.51.100.7"], "198.51.100.7"),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_ours(peer: str, forwarded: list[str], client: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]

    assert client_address({"client": (peer, 1), "headers": headers, "type": "http"}, TRUSTED) == client


async def test_trusted_proxies_decide_whose_header_counts() -> None:
    headers = {"X-Forwarded-For": "198.51.100.7"}
    async with app_client(create_app(SampleSettings())) as direct:
        assert (await direct.get("/v1/sample/client", headers=headers)).json() == {"client": "127.0.0.1"}
    proxies: Any = "127.0.0.0/8"
    async with app_client(create_app(SampleSettings(trusted_proxies=proxies))) as behind:
        assert (await behind.get("/v1/sample/client", headers=headers)).json() == {"client": "198.51.100.7"}


def test_the_peer_itself_is_what_is_from_somewhere() -> None:
    def scope(peer: str) -> dict[str, object]:
        return {"client": (peer, 1), "headers": [(b"x-forwarded-for", b"10.0.0.1")]}

    assert is_from(scope("10.1.2.3"), TRUSTED)
    assert is_from(scope("::ffff:10.1.2.3"), TRUSTED)
    assert not is_from(scope("192.0.2.1"), TRUSTED)
    assert not is_from({"client": None}, TRUSTED)

"""No input makes a 5xx: bodies, ids, parameters, cursors and headers at random, the same ones each run."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.items.schemas import ItemWrite
from tests.items.conftest import GOOD, Caller, MakeSettings
from tests.support.clients import service_process
from tests.support.tokens import Issuer

EXAMPLES = 100

any_text = st.text(st.characters(codec=None), max_size=30)  # lone surrogates and NUL are among them
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)
members = st.sampled_from([*ItemWrite.model_fields, "id", "owner", "version", "", "\ud800", "\0"])
near_items = st.dictionaries(members, json_value, max_size=6).map(lambda changes: GOOD | changes)
bodies = (near_items | json_value).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
media_types = st.sampled_from(["application/json", "application/merge-patch+json", "text/plain", "a/b+json", ""])
ids = st.uuids().map(str) | st.text(min_size=1, max_size=40)
parameters = st.dictionaries(
    st.sampled_from(["limit", "cursor", "sort", "currency", "tag", "name_prefix", "\0", "x"]),
    st.text(max_size=40) | st.sampled_from(["name", "-price_minor", "created_at", "EUR", "1", "100"]),
    max_size=5,
)
printable = [0x09, *range(0x20, 0x7F), *range(0x80, 0x100)]  # more than these no HTTP client sends
header_bytes = st.lists(st.sampled_from(printable), max_size=40).map(lambda codes: bytes(codes).strip(b" \t"))
etag_like = st.lists(st.sampled_from(['"1"', 'W/"1"', "*", ",", " ", '"', '"99999999999999999999"', "W/"]), max_size=6)
conditions = st.dictionaries(
    st.sampled_from(["If-Match", "If-None-Match", "Idempotency-Key"]),
    header_bytes | etag_like.map(lambda parts: "".join(parts).strip().encode()),
    max_size=2,
)


@pytest.fixture(scope="module")
def sync(make_settings: MakeSettings, issuer: Issuer) -> Iterator[tuple[httpx2.Client, str]]:
    """A client of a process of its own (hypothesis is not async), and the address of an item."""
    chosen = make_settings()
    secrets = {"DATABASE_URL": chosen.database_url, "CACHE_URL": chosen.cache_url, "CURSOR_KEY": chosen.cursor_key}
    env = {name: secret.get_secret_value() for name, secret in secrets.items()}
    env |= {"ISSUER": chosen.issuer, "AUDIENCE": chosen.audience, "JWKS_URL": str(chosen.jwks_url)}
    env |= {"LOG_LEVEL": "ERROR"}
    headers = issuer.headers()
    with (
        service_process("services.items", env) as process,
        httpx2.Client(base_url=process.url, headers=headers, timeout=30) as client,
    ):
        created = client.post("/v1/items", json=GOOD)
        yield client, created.headers["location"]
        assert process.popen.poll() is None, process.log


def fuzz(test: Any) -> Any:
    """Bounded, repeatable, and patient with a busy machine."""
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(test)


def raw(headers: dict[str, bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value) for name, value in headers.items()]


def assert_no_server_error(answer: httpx2.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        answer.text.encode()


@fuzz
@given(body=bodies, media_type=media_types, method=st.sampled_from(["POST", "PUT", "PATCH"]), headers=conditions)
def test_bodies(
    sync: tuple[httpx2.Client, str], body: bytes, media_type: str, method: str, headers: dict[str, bytes]
) -> None:
    client, item = sync
    path = "/v1/items" if method == "POST" else item

    answer = client.request(method, path, content=body, headers=raw(headers | {"Content-Type": media_type.encode()}))

    assert_no_server_error(answer)


@fuzz
@given(item_id=ids, method=st.sampled_from(["GET", "DELETE", "PUT", "PATCH", "POST", "OPTIONS"]))
def test_ids(sync: tuple[httpx2.Client, str], item_id: str, method: str) -> None:
    client, _ = sync

    answer = client.request(method, f"/v1/items/{quote(item_id, safe='')}", json={})

    assert_no_server_error(answer)


@fuzz
@given(params=parameters)
def test_parameters_of_a_list(sync: tuple[httpx2.Client, str], params: dict[str, str]) -> None:
    client, _ = sync

    assert_no_server_error(client.get("/v1/items", params=params))


@fuzz
@given(query=st.binary(max_size=60).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)), bare=st.booleans())
def test_queries_that_are_no_text(sync: tuple[httpx2.Client, str], query: str, bare: bool) -> None:
    client, _ = sync

    assert_no_server_error(client.get("/v1/items?" + ("" if bare else "name_prefix=") + query))


@fuzz
@given(headers=conditions, method=st.sampled_from(["GET", "PATCH"]))
def test_conditions(sync: tuple[httpx2.Client, str], headers: dict[str, bytes], method: str) -> None:
    client, item = sync
    options: dict[str, Any] = {"json": {}} if method == "PATCH" else {}

    assert_no_server_error(client.request(method, item, headers=raw(headers), **options))


@fuzz
@given(value=header_bytes)
def test_tokens(sync: tuple[httpx2.Client, str], value: bytes) -> None:
    client, item = sync

    answer = client.get(item, headers=raw({"Authorization": (b"Bearer " + value).strip()}))

    assert answer.status_code == 401
    assert_no_server_error(answer)


async def test_a_name_of_any_characters_comes_back_as_it_was(alice: Caller) -> None:
    name = "".join(chr(code) for code in [*range(1, 128), 0xD7FF, 0xE000, 0xFFFE, 0xFFFF, 0x10FFFF])

    item = await alice.create(name=name, tags=[name[:50]])

    assert item["name"] == name
    for _ in range(2):
        assert (await alice.get(item["id"])).json() == item
    page = (await alice.list(sort="name", limit=1, name_prefix=name)).json()
    assert [found["id"] for found in page["items"]] == [item["id"]]

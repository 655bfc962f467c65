"""Whatever is sent, the answer is a problem document and never a 5xx."""

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from services.common.exceptions import ServiceError
from services.common.problems import printable
from services.common.statuses import kind
from tests.common.sample.main import SampleSettings, create_app
from tests.support.clients import app_client

THINGS = "/v1/sample/things"
JSON = {"Content-Type": "application/json"}


def problem(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["status"] == status
    assert str(body["type"]).startswith("/problems/")
    assert body["title"]
    assert body["instance"] == answer.request.url.path
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient) -> None:
    assert problem(await client.get("/nowhere"), 404)["type"] == "/problems/not-found"


async def test_a_wrong_method_is_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.delete(THINGS)

    assert problem(answer, 405)["type"] == "/problems/method-not-allowed"
    assert answer.headers["allow"] == "GET, HEAD, POST"  # of two routes


async def test_head_is_get_without_the_content(client: httpx2.AsyncClient) -> None:
    got, asked = await client.get(THINGS), await client.head(THINGS)

    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-type", "content-length"):
        assert asked.headers[name] == got.headers[name]
    refused = await client.head("/v1/sample/raw")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_a_refusal_of_our_own_is_a_problem(client: httpx2.AsyncClient) -> None:
    body = problem(await client.get("/v1/sample/fail/conflict"), 409)

    assert body["type"] == "/problems/conflict"
    assert body["detail"] == "the name is taken"


async def test_unavailable_says_when_to_come_back(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/sample/fail/unavailable")

    problem(answer, 503)
    assert answer.headers["retry-after"] == "7"


async def test_an_exception_of_the_framework_is_a_problem(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/sample/fail/teapot")

    assert problem(answer, 418)["detail"] == "short and stout"
    assert answer.headers["x-pot"] == "yes"


async def test_a_status_without_a_phrase_is_a_problem(client: httpx2.AsyncClient) -> None:
    problem(await client.get("/v1/sample/fail/odd"), 499)


async def test_a_bug_tells_nothing_to_the_client_and_all_to_the_log(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await client.get("/v1/sample/fail/bug")

    body = problem(answer, 500)
    assert "detail" not in body
    assert "hunter2" not in answer.text
    failed = next(line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "exception" in line)
    assert failed["event"] == "request_failed"
    assert failed["request_id"] == body["request_id"]
    assert "RuntimeError: password=hunter2" in failed["exception"]


async def test_half_an_answer_does_not_pass_for_a_whole_one(client: httpx2.AsyncClient) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/v1/sample/half")


async def test_wrong_fields_are_listed_without_their_values(client: httpx2.AsyncClient) -> None:
    answer = await client.post(THINGS, json={"name": "x" * 21, "count": "s3cr3t", "colour": "red"})

    body = problem(answer, 422)
    assert body["errors"] == [
        {"location": "body.name", "message": "String should have at most 20 characters"},
        {"location": "body.count", "message": "Input should be a valid integer"},
        {"location": "body.colour", "message": "Extra inputs are not permitted"},
    ]
    assert "s3cr3t" not in answer.text


async def test_a_wrong_query_is_explained(client: httpx2.AsyncClient) -> None:
    body = problem(await client.get("/v1/sample/list?limit=101"), 422)

    assert body["errors"] == [{"location": "query.limit", "message": "Input should be less than or equal to 100"}]


async def test_many_wrong_fields_make_a_short_answer(client: httpx2.AsyncClient) -> None:
    answer = await client.post(THINGS, json={f"f{n}": 1 for n in range(150)})

    errors = problem(answer, 422)["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"name": "a",}',
        b'{"name": "\xff\xfe"}',
        b"\xef\xbb\xbf{}",
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1, "name": "a"}',
        b'{"name": "a", "note": "\\udfff"}',
        b'{"name": "a", "note": "\\u0000"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "a", "count": ' + b"9" * 1500 + b"}",
        b'{"name": "a", "count": 1e400}',
        b'{"name": "a", "count": NaN}',
        b"[" * 1900,
        b'{"a":' * 380,
        b"null",
        b"[]",
        b'"text"',
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_a_body_that_cannot_be_read_is_the_clients_fault(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post(THINGS, content=body, headers=JSON)

    assert answer.status_code in {400, 422}, answer.text
    problem(answer, answer.status_code)


async def test_what_only_a_large_body_can_hold_is_the_clients_fault() -> None:
    async with app_client(create_app(SampleSettings(max_body_bytes=100_000))) as roomy:
        for digits in (4000, 5000):
            body = b'{"name": "a", "count": ' + b"9" * digits + b"}"
            answer = await roomy.post(THINGS, content=body, headers=JSON)
            assert answer.status_code in {400, 422}, answer.text
        answer = await roomy.post(THINGS, content=b"[" * 99_000, headers=JSON)
        problem(answer, 400)


async def test_a_body_without_its_media_type_is_refused(client: httpx2.AsyncClient) -> None:
    problem(await client.post(THINGS, content=b'{"name": "a"}'), 422)


@pytest.mark.parametrize("path", ["/v1/sample/slow/%00", "/%ff%fe", "/v1/sample/%ED%A0%80", "//", "/v1/sample/list/"])
async def test_odd_paths_are_problems(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def chunks(size: int, each: int = 100) -> AsyncIterator[bytes]:
    for _ in range(size // each):
        yield b"x" * each


async def test_an_announced_body_over_the_limit_is_413(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/sample/raw", content=b"x" * 2001)

    assert problem(answer, 413)["detail"] == "The body is longer than the 2000 bytes that are read here"


async def test_a_chunked_body_over_the_limit_is_413(client: httpx2.AsyncClient) -> None:
    announced = problem(await client.post("/v1/sample/raw", content=b"x" * 2100), 413)
    for path in ("/v1/sample/raw", THINGS):
        body = problem(await client.post(path, content=chunks(2100), headers=JSON), 413)
        assert [body[name] for name in ("type", "title", "detail")] == [
            announced[name] for name in ("type", "title", "detail")
        ]


def test_every_error_of_ours_is_named_as_its_status_is() -> None:
    for error in ServiceError.__subclasses__():
        if error.__module__ == "services.common.exceptions":
            assert kind(error.status) == (error.slug, error.title)


async def test_a_packed_body_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/sample/raw", content=b"x", headers={"Content-Encoding": "gzip"})

    assert problem(answer, 415)["type"] == "/problems/unsupported-media-type"
    assert answer.headers["accept-encoding"] == "identity"
    same = await client.post("/v1/sample/raw", content=b"x", headers={"Content-Encoding": "identity"})
    assert same.status_code == 200


async def test_a_client_reads_its_413_even_while_it_still_sends(client: httpx2.AsyncClient) -> None:
    problem(await client.post("/v1/sample/raw", content=b"x" * 5_000_000), 413)
    problem(await client.post("/v1/sample/raw", content=chunks(2_000_000, 50_000)), 413)


async def test_a_body_of_just_the_limit_is_read(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/sample/raw", content=b"x" * 2000)).json() == {"bytes": 2000}
    assert (await client.post("/v1/sample/raw", content=chunks(2000))).json() == {"bytes": 2000}


async def test_an_unread_body_over_the_limit_is_413(client: httpx2.AsyncClient) -> None:
    problem(await client.post("/v1/sample/unread", content=b"x" * 2001), 413)


def test_a_text_of_the_clients_can_always_be_said_back_and_is_not_endless() -> None:
    assert printable("a\ud800b") == "a\\ud800b"
    assert len(printable("x" * 10_000)) == 2000

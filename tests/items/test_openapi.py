"""The description of the API says what the API does."""

from typing import Any

import httpx2
import pytest

OPERATIONS = {
    ("/v1/items", "get"): {"200", "400", "401", "403", "422", "503"},
    ("/v1/items", "post"): {"201", "400", "401", "403", "409", "413", "415", "422", "503"},
    ("/v1/items/{item_id}", "get"): {"200", "304", "400", "401", "403", "404", "412", "422", "503"},
    ("/v1/items/{item_id}", "put"): {"200", "400", "401", "403", "404", "412", "413", "415", "422", "503"},
    ("/v1/items/{item_id}", "patch"): {"200", "400", "401", "403", "404", "412", "413", "415", "422", "503"},
    ("/v1/items/{item_id}", "delete"): {"204", "400", "401", "403", "404", "412", "422", "503"},
}


@pytest.fixture
async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


async def test_each_operation_names_each_status_it_answers(document: dict[str, Any]) -> None:
    described = {
        (path, method): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert described == OPERATIONS


async def test_each_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    [(media_type, content)] = response["content"].items()
                    assert media_type == "application/problem+json"
                    assert content["schema"]["$ref"].endswith("/Problem")


async def test_a_patch_is_described_as_a_merge_patch_of_optional_members(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/items/{item_id}"]["patch"]["requestBody"]["content"]
    schema = document["components"]["schemas"]["ItemPatch"]

    assert set(body) == {"application/json", "application/merge-patch+json"}
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    assert {"name", "description", "price_minor", "currency", "tags"} == schema["properties"].keys()


async def test_headers_that_answers_carry_are_described(document: dict[str, Any]) -> None:
    created = document["paths"]["/v1/items"]["post"]["responses"]["201"]
    read = document["paths"]["/v1/items/{item_id}"]["get"]["responses"]

    assert {"Location", "ETag", "Idempotency-Replayed"} == created["headers"].keys()
    assert {"ETag"} == read["200"]["headers"].keys() == read["304"]["headers"].keys()

"""One document of many: what is alike is one, what differs is told apart, and the order of parts does not matter."""

import copy
import json
import random
import secrets
from typing import Any

import pytest

from services.auth.main import create_app as create_auth
from services.auth.settings import AuthSettings
from services.gateway.openapi import merge, parse
from services.items.main import create_app as create_items
from services.items.settings import ItemsSettings

REF = "#/components/schemas/"
OK = {"description": "ok"}


def document(paths: dict[str, Any] | None = None, **schemas: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {}, "paths": paths or {}, "components": {"schemas": schemas}}


def operation(schema: str, name: str = "get_it", **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"{REF}{schema}"}}}
    return {"get": {"operationId": name, "responses": {"200": {**OK, "content": content}}, **more}}


def merged(**documents: dict[str, Any]) -> dict[str, Any]:
    """All paths belong to the service whose name they begin with."""
    return merge(documents, title="T", version="1", serves=lambda name, path: path.startswith(f"/{name}"))


def test_what_is_defined_alike_is_one_and_what_differs_has_its_services_name_in_front() -> None:
    found = merged(
        a=document({"/a": operation("Item")}, Item={"type": "string"}, Problem={"type": "object"}),
        b=document({"/b": operation("Item", "other")}, Item={"type": "integer"}, Problem={"type": "object"}, Own={}),
    )

    assert found["components"]["schemas"] == {
        "Own": {},
        "Problem": {"type": "object"},
        "a_Item": {"type": "string"},
        "b_Item": {"type": "integer"},
    }
    assert [schema_of(found, path) for path in ("/a", "/b")] == [f"{REF}a_Item", f"{REF}b_Item"]


def schema_of(found: dict[str, Any], path: str) -> str:
    return str(found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"])


def test_what_refers_to_something_that_differs_differs_as_well() -> None:
    page = {"type": "array", "items": {"$ref": f"{REF}Item"}}
    pages = {"anyOf": [{"$ref": f"{REF}Page"}]}
    found = merged(
        a=document({"/a": operation("Pages")}, Item={"type": "string"}, Page=page, Pages=pages),
        b=document({"/b": operation("Pages", "other")}, Item={"type": "integer"}, Page=page, Pages=pages),
    )

    schemas = found["components"]["schemas"]
    assert schema_of(found, "/b") == f"{REF}b_Pages"
    assert schemas["b_Pages"] == {"anyOf": [{"$ref": f"{REF}b_Page"}]}
    assert schemas["b_Page"]["items"] == {"$ref": f"{REF}b_Item"}
    assert schemas["a_Page"]["items"] == {"$ref": f"{REF}a_Item"}
    assert not schemas.keys() & {"Item", "Page", "Pages"}


def test_a_new_name_takes_nobody_elses() -> None:
    found = merged(a=document(Item={"type": "string"}), b=document(Item={}, a_Item={"type": "null"}))

    assert found["components"]["schemas"] == {
        "a_Item": {"type": "null"},
        "a_Item_": {"type": "string"},
        "b_Item": {},
    }


def test_mappings_of_discriminators_and_names_of_security_schemes_follow() -> None:
    mapping = {"oneOf": [], "discriminator": {"propertyName": "kind", "mapping": {"x": f"{REF}Item"}}}
    one = document({"/a": operation("Any", security=[{"Bearer": []}])}, Any=mapping, Item={"type": "string"})
    two = document({"/b": operation("Item", "other")}, Item={}) | {"security": [{"Bearer": ["x"]}]}
    one["components"]["securitySchemes"] = {"Bearer": {"type": "http"}}
    two["components"]["securitySchemes"] = {"Bearer": {"type": "apiKey"}}

    found = merged(a=one, b=two)

    assert found["components"]["schemas"]["Any"]["discriminator"]["mapping"] == {"x": f"{REF}a_Item"}
    assert found["components"]["securitySchemes"] == {"a_Bearer": {"type": "http"}, "b_Bearer": {"type": "apiKey"}}
    assert found["paths"]["/a"]["get"]["security"] == [{"a_Bearer": []}]
    assert found["paths"]["/b"]["get"]["security"] == [{"b_Bearer": ["x"]}]


def test_only_what_a_service_is_asked_for_is_in_and_operations_keep_one_name_each() -> None:
    found = merged(
        a=document({"/a": operation("X"), "/b": operation("X"), "/internal": operation("X")}, X={}),
        b=document({"/b/{id}": operation("X", tags=["things"])}, X={}),
    )

    assert list(found["paths"]) == ["/a", "/b/{id}"]
    assert [item["get"]["operationId"] for item in found["paths"].values()] == ["get_it", "b_get_it"]
    assert [item["get"]["tags"] for item in found["paths"].values()] == [["a"], ["things"]]


def test_the_parts_are_left_as_they_were_and_their_order_does_not_matter() -> None:
    documents = {
        name: document({f"/{name}/{n}": operation("Item", f"{n}") for n in range(3)}, Item={"title": name}, Same={})
        for name in "dacb"
    }
    before = copy.deepcopy(documents)
    results = set()
    for _ in range(5):
        shuffled = dict(random.sample(list(documents.items()), k=len(documents)))
        results.add(json.dumps(merged(**shuffled)))

    assert len(results) == 1
    assert documents == before


def test_the_services_own_documents_merge_and_every_reference_finds_its_part() -> None:
    common: dict[str, Any] = {
        "issuer": "http://localhost",
        "audience": "a",
        "environment": "development",
        "database_url": "postgresql://127.0.0.1/a",
    }
    keys: dict[str, Any] = {name: secrets.token_hex(32) for name in ("audit_key", "key_encryption_key", "token_key")}
    redis: Any = "redis://127.0.0.1"
    apps = {
        "auth": create_auth(AuthSettings(**common, **keys, state_url=redis)),
        "items": create_items(ItemsSettings(**common, cache_url=redis, jwks_url="http://a", cursor_key="c" * 32)),
    }
    parts = {name: parse(json.dumps(app.openapi()).encode()) for name, app in apps.items()}

    found = merge(parts, title="Slipway", version="1", serves=lambda _, __: True)

    assert {"/v1/items", "/v1/items/{item_id}", "/oauth2/token"} <= found["paths"].keys()
    text = json.dumps(found)
    for part in text.split('"$ref": "#/components/')[1:]:
        section, key = part.partition('"')[0].split("/")
        assert key in found["components"][section]
    assert "Problem" in found["components"]["schemas"]
    assert "items_Problem" not in found["components"]["schemas"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"swagger": "2.0"}',
        b'{"openapi": "3.0.3"}',
        b'{"openapi": "3.1.0", "paths": []}',
        b'{"openapi": "3.1.0", "paths": {"/a": 5}}',
        b'{"openapi": "3.1.0", "components": {"schemas": []}}',
        b'{"openapi": "3.1.0", "info": "x"}',
        b"[" * 100_000,
        b"\xff",
    ],
    ids=lambda raw: raw[:40].decode("latin-1"),
)
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"is not|has no"):
        parse(raw)


def test_a_sign_in_is_offered_wherever_a_bearer_token_is_wanted() -> None:
    bearer, basic = {"type": "http", "scheme": "bearer"}, {"type": "http", "scheme": "basic"}
    answers = {"responses": {"200": {"description": "ok"}}}
    document = {
        "openapi": "3.1.0",
        "paths": {
            "/v1/a": {"get": {**answers, "security": [{"Token": []}]}, "post": answers},
            "/v1/b": {"get": {**answers, "security": [{"Basic": []}]}},
        },
        "components": {"securitySchemes": {"Token": bearer, "Basic": basic}},
    }

    def merged(sign_in: str | None) -> dict[str, Any]:
        return merge({"x": document}, title="", version="1", serves=lambda *_: True, sign_in=sign_in)

    offered = merged("https://slipway.test")
    assert offered["paths"]["/v1/a"]["get"]["security"] == [{"Token": []}, {"SignIn": []}]
    assert "security" not in offered["paths"]["/v1/a"]["post"]
    assert offered["paths"]["/v1/b"]["get"]["security"] == [{"Basic": []}]
    flow = offered["components"]["securitySchemes"]["SignIn"]["flows"]["authorizationCode"]
    assert flow["authorizationUrl"] == "https://slipway.test/oauth2/authorize"
    assert flow["tokenUrl"] == "https://slipway.test/oauth2/token"
    assert "SignIn" not in str(merged(None))

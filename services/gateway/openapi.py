"""One OpenAPI document made of those of the services: the same for the same parts, whatever order they came in."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
Part = tuple[str, str]  # of a document's components: ("schemas", "Item")

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
REFERENCE = "#/components/"
SECURITY = "securitySchemes"  # is named without a reference, in `security`
VERSION = "3.1.0"
BEARER = ("http", "bearer")
SIGN_IN = "SignIn"


def parse(raw: bytes) -> dict[str, Any]:
    """Read a service's document. Raises ValueError for what cannot be merged."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(document, dict) or not str(document.get("openapi")).startswith("3.1."):
        raise ValueError("is not OpenAPI 3.1")
    for path, operations in _object(document.get("paths", {}), "paths").items():
        for operation in _object(operations, path).values():
            if isinstance(operation, dict):
                _object(operation.get("responses", {}), path)
    for section, parts in _object(document.get("components", {}), "components").items():
        _object(parts, section)
    _object(document.get("info", {}), "info")
    return document


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"has no object at {where}")  # noqa: TRY004 - of data
    return value


def merge(
    documents: Mapping[str, Document],
    *,
    title: str,
    version: str,
    serves: Callable[[str, str], bool],
    sign_in: str | None = None,
) -> dict[str, Any]:
    """Merge documents by the names of their services; `serves(name, path)` says which paths a service answers.

    `sign_in` is the origin where people sign in by OAuth for a bearer token, if there is such a place.

    Components that two services define alike, down to what they refer to, are one; those that differ get the name of
    their service in front. So do operations whose ids are the same.
    """
    names = sorted(documents)
    renamed = _new_names({name: _parts(documents[name]) for name in names})
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    taken: set[str] = set()
    for name in names:
        document = documents[name]
        for path, item in document.get("paths", {}).items():
            if serves(name, path) and path not in paths:
                paths[path] = _operations(_renamed(item, renamed[name]), document, name, taken, renamed[name])
        for section, key in _parts(document):
            new = renamed[name][section, key]
            components.setdefault(section, {})[new] = _renamed(document["components"][section][key], renamed[name])
    if sign_in is not None:
        _offer_sign_in(paths, components.setdefault(SECURITY, {}), sign_in)
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {section: dict(sorted(parts.items())) for section, parts in sorted(components.items())},
    }


def _operations(
    item: dict[str, Any], document: Document, name: str, taken: set[str], names: Mapping[Part, str]
) -> dict[str, Any]:
    for method, operation in item.items():
        if method not in METHODS:
            continue
        operation.setdefault("tags", [name])
        if "security" not in operation and "security" in document:
            operation["security"] = document["security"]
        if "security" in operation:
            operation["security"] = [
                {names.get((SECURITY, scheme), scheme): scopes for scheme, scopes in choice.items()}
                for choice in operation["security"]
            ]
        if "operationId" in operation:
            while operation["operationId"] in taken:
                operation["operationId"] = f"{name}_{operation['operationId']}"
            taken.add(operation["operationId"])
    return item


def _offer_sign_in(paths: dict[str, Any], schemes: dict[str, Any], origin: str) -> None:
    """Wherever a bearer token is wanted, a sign-in by code and PKCE is another way to it."""
    bearers = {name for name, scheme in schemes.items() if (scheme.get("type"), scheme.get("scheme")) == BEARER}
    flow = {
        "authorizationUrl": f"{origin}/oauth2/authorize",
        "tokenUrl": f"{origin}/oauth2/token",
        "scopes": {},  # none asked for: all that the person's roles and the client allow
    }
    schemes[SIGN_IN] = {
        "type": "oauth2",
        "description": "Sign in with your account; the token ends after minutes.",
        "flows": {"authorizationCode": flow},
    }
    for item in paths.values():
        for operation in item.values():
            if isinstance(operation, dict) and any(bearers & choice.keys() for choice in operation.get("security", ())):
                operation["security"] = [*operation["security"], {SIGN_IN: []}]


def _parts(document: Document) -> dict[Part, Any]:
    return {
        (section, key): part for section, parts in document.get("components", {}).items() for key, part in parts.items()
    }


def _new_names(parts: Mapping[str, Mapping[Part, Any]]) -> dict[str, dict[Part, str]]:
    """What each component of each service is called in the end."""
    apart = _differing(parts)
    taken = {part for of_service in parts.values() for part in of_service}
    found: dict[str, dict[Part, str]] = {}
    for name, of_service in parts.items():
        found[name] = {}
        for section, key in of_service:
            new = key
            if (section, key) in apart:
                new = f"{name}_{key}"
                while (section, new) in taken:
                    new += "_"
                taken.add((section, new))
            found[name][section, key] = new
    return found


def _differing(parts: Mapping[str, Mapping[Part, Any]]) -> set[Part]:
    """Components that two services define differently, and those of two services that refer to such a one."""
    definitions: dict[Part, list[Any]] = {}
    for of_service in parts.values():
        for part, definition in of_service.items():
            definitions.setdefault(part, []).append(definition)
    shared = {part: found for part, found in definitions.items() if len(found) > 1}
    apart = {part for part, found in shared.items() if any(other != found[0] for other in found)}
    references = {part: set(_references(found[0])) for part, found in shared.items()}
    while more := {part for part in shared.keys() - apart if references[part] & apart}:
        apart |= more
    return apart


def _references(value: Any) -> Iterator[Part]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, str) and (part := _part(value)):
        yield part


def _part(value: str) -> Part | None:
    """The component that a text refers to: a `$ref`, or an entry of a discriminator's mapping."""
    section, slash, key = value.removeprefix(REFERENCE).partition("/")
    return (section, key) if value.startswith(REFERENCE) and slash else None


def _renamed(value: Any, names: Mapping[Part, str]) -> Any:
    """A copy whose references go to the new names."""
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str) and (part := _part(value)) and part in names:
        return f"{REFERENCE}{part[0]}/{names[part]}"
    return value

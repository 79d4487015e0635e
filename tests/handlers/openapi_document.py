"""docs/openapi.yaml, and what it says about an answer."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PATH = Path(__file__).parents[2] / "docs/openapi.yaml"
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
PROBLEM_JSON = "application/problem+json"
_BASE = "urn:openapi"

type Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One method of one path; `pointer` is where the document describes it."""

    method: str
    path: str
    pointer: str
    content: Json

    @property
    def is_public(self) -> bool:
        return self.content.get("security") == []


@cache
def document() -> Json:
    found: Json = yaml.safe_load(PATH.read_text())
    return found


@cache
def operations() -> Mapping[tuple[str, str], Operation]:
    """Every operation by method (in capitals) and path."""
    return {
        (method.upper(), path): Operation(
            method.upper(), path, f"#/paths/{path.replace('/', '~1')}/{method}", content
        )
        for path, item in document()["paths"].items()
        for method, content in item.items()
        if method in METHODS
    }


def resolved(node: Json) -> Json:
    """Follow a reference, if it is one: what stands beside it stays."""
    while "$ref" in node:
        target: Any = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


@cache
def validator(pointer: str) -> Draft202012Validator:
    """What holds a value against the schema at a place of the document, formats included."""
    resource = Resource.from_contents(document(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_BASE, resource)
    return Draft202012Validator(
        {"$ref": f"{_BASE}{pointer}"},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def complaints(method: str, path: str, status: int, headers: Mapping[str, str], body: str) -> list[str]:
    """Say what of an answer is not as documented; `headers` with names in small letters."""
    operation = operations().get((method, path))
    if operation is None:
        # API Gateway knows no such route, and the functions say so too.
        return list(_complaints("#/components/responses/RouteNotFound", {404}, status, headers, body))
    documented = operation.content["responses"]
    for key in (str(status), f"{status // 100}XX"):
        if key in documented:
            pointer = documented[key].get("$ref", f"{operation.pointer}/responses/{key}")
            return list(_complaints(pointer, {status}, status, headers, body))
    return [f"{method} {path} is not documented to answer {status}"]


def _complaints(
    pointer: str, expected: set[int], status: int, headers: Mapping[str, str], body: str
) -> Iterator[str]:
    if status not in expected:
        yield f"status {status}"
    response = resolved({"$ref": pointer}) if pointer.startswith("#/components/") else _at(pointer)
    for name, reference in response.get("headers", {}).items():
        header = resolved(reference)
        value = headers.get(name.lower())
        if value is None:
            yield f"header {name} is missing"
        else:
            for error in Draft202012Validator(header["schema"]).iter_errors(value):
                yield f"header {name}: {error.message}"
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in response["content"]:
        yield f"content type {media_type!r}"
        return
    try:
        content = json.loads(body) if media_type.endswith("json") else body
    except ValueError:
        yield "the body is not JSON"
        return
    schema = f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
    for error in validator(schema).iter_errors(content):
        yield f"{error.json_path}: {error.message}"


def _at(pointer: str) -> Json:
    node: Any = document()
    for step in pointer.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/")]
    found: Json = node
    return found


def problem_codes() -> set[tuple[str, str]]:
    """Every status with every code that the admin routes may answer it with."""
    return {
        (status, code)
        for operation in operations().values()
        if not operation.is_public
        for status, response in operation.content["responses"].items()
        for code in codes(resolved(response)["content"].get(PROBLEM_JSON, {}).get("schema", {}))
    }


def codes(schema: Json) -> list[str]:
    """The codes that the schema of a problem allows."""
    named = resolved(schema).get("properties", {}).get("code", {})
    found: list[str] = named.get("enum") or [named["const"]] if named else []
    return found


def documented_codes(tables: str) -> set[tuple[str, str]]:
    """Read the rows `| status | code |` of docs/api.md."""
    rows = re.findall(r"^\| (\d{3}|\dxx) \| `([a-z_]+)` \|", tables, re.MULTILINE)
    return {(status.upper(), code) for status, code in rows}

"""The OpenAPI 3.1 description that the service serves of itself; schemas come from the structs it answers with."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from origin.catalog import Entry


class Titles(msgspec.Struct, frozen=True):
    titles: tuple[Entry, ...]


class Readiness(msgspec.Struct, frozen=True):
    """`problems` says why it is not ready, a sentence each."""

    ready: bool
    problems: tuple[str, ...]


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457, application/problem+json."""

    title: str
    status: int
    detail: str


def describe() -> dict[str, Any]:
    """The whole document."""
    _, schemas = msgspec.json.schema_components(
        [Titles, Entry, Readiness, Problem], ref_template="#/components/schemas/{name}"
    )
    conditional = [_header("If-None-Match", "An entity tag; 304 if it is still right.")]
    ranged = [
        *conditional,
        _header("Range", "One range of bytes (RFC 9110 section 14)."),
        _header("If-Range", "The entity tag that the range is of."),
        _header("Want-Repr-Digest", "sha-256=1 to get Repr-Digest with whole files (RFC 9530)."),
    ]
    content = {
        "200": _binary("The bytes."),
        "206": _binary("The range of them that was asked for."),
        "304": {"description": "Not modified."},
        "404": _problem("No such title, package, file or segment."),
        "416": _problem("The range lies outside."),
        "503": _problem("Storage cannot be reached; Retry-After says when to try again."),
    }
    names = [_path("title"), _path("package"), _path("file")]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nearcast origin", "version": version("nearcast")},
        "paths": {
            "/api/v1/titles": {
                "get": _operation("Every title that is offered.", conditional, {"200": _json("Titles")}),
            },
            "/api/v1/titles/{title}": {
                "get": _operation(
                    "One title.",
                    [_path("title"), *conditional],
                    {"200": _json("Entry"), "404": _problem("The catalog has no such title.")},
                )
            },
            "/v1/{title}/{package}/{file}": {
                "get": _operation(
                    "A whole file of a package, or its manifest package.json.", [*names, *ranged], content
                )
            },
            "/v1/{title}/{package}/{rendition}/{segment}": {
                "get": _operation(
                    "A rendition's init segment (init.mp4) or its n-th segment (n.m4s, counted from 1).",
                    [*names[:2], _path("rendition"), _path("segment"), *ranged],
                    content,
                )
            },
            "/healthz": {"get": _operation("The process lives.", [], {"200": {"description": "It does."}})},
            "/readyz": {
                "get": _operation(
                    "Whether it can serve.", [], {"200": _json("Readiness"), "503": _json("Readiness", "Why not.")}
                )
            },
            "/metrics": {"get": _operation("Prometheus metrics.", [], {"200": {"description": "Text format."}})},
        },
        "components": {"schemas": schemas},
    }


def _operation(summary: str, parameters: list[dict[str, Any]], responses: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "parameters": parameters, "responses": responses}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _json(schema: str, description: str = "The answer.") -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": description, "content": {"application/json": reference}}


def _problem(description: str) -> dict[str, Any]:
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": description, "content": {"application/problem+json": reference}}


def _binary(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"*/*": {}}}

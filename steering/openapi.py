"""The description of steering's API (OpenAPI 3.1), made from the formats themselves where they are declared."""

from __future__ import annotations

from typing import Any

import msgspec

from oca.report import Answer, Report

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TITLE = {"name": "title", "in": "path", "required": True, "schema": {"type": "string"}}
_SESSION = {
    "name": "session",
    "in": "query",
    "description": "Name of the play, for logs and for the draw among equal appliances; made up if absent.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}
_TOKEN = {"name": "s", "in": "query", "description": "The session; steering wrote it.", "schema": {"type": "string"}}
_STEERING_MANIFEST = {
    "type": "object",
    "required": ["VERSION", "TTL", "RELOAD-URI", "PATHWAY-PRIORITY"],
    "properties": {
        "VERSION": {"const": 1},
        "TTL": {"type": "integer", "minimum": 1, "description": "seconds"},
        "RELOAD-URI": {"type": "string", "format": "uri"},
        "PATHWAY-PRIORITY": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
        "PATHWAY-CLONES": {
            "type": "array",
            "description": "Pathways that the session's manifest does not list, while it cannot do without.",
            "minItems": 1,
            "items": {"type": "object", "required": ["BASE-ID", "ID", "URI-REPLACEMENT"]},
        },
    },
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def describe(version: str) -> dict[str, Any]:
    """The whole document."""
    (_, _), schemas = msgspec.json.schema_components([Report, Answer], ref_template="#/components/schemas/{name}")
    schemas = {**schemas, "SteeringManifest": _STEERING_MANIFEST, "Problem": _PROBLEM_SCHEMA}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nearcast steering", "version": version},
        "paths": {
            "/api/v1/reports": {"post": _take_report()},
            "/api/v1/fleet": {
                "get": _get(
                    "Last report, health and age of every appliance, and the sites.",
                    parameters=[{"name": "held", "in": "query", "schema": {"enum": ["0", "1"], "default": "1"}}],
                )
            },
            "/api/v1/titles": {"get": _get("The catalog as steering knows it.")},
            "/api/v1/titles/{title}": {"get": _get("One title.", parameters=[_TITLE], problems=("404", "503"))},
            "/api/v1/explain": {
                "get": _get(
                    "The whole decision, step by step: for a client and a title, or for a session under way.",
                    parameters=[
                        {"name": "client", "in": "query", "schema": {"type": "string"}},
                        {"name": "title", "in": "query", "schema": {"type": "string"}},
                        _SESSION,
                        _TOKEN,
                    ],
                    problems=("400", "404", "503"),
                )
            },
            "/play/{title}/master.m3u8": {"get": _play("application/vnd.apple.mpegurl")},
            "/play/{title}/manifest.mpd": {"get": _play("application/dash+xml")},
            "/steer/hls": {"get": _steer("hls")},
            "/steer/dash": {"get": _steer("dash")},
            "/cmcd": {"post": _hear()},
        },
        "components": {"schemas": schemas},
    }


def _get(
    summary: str, *, parameters: list[dict[str, Any]] | None = None, problems: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            "200": {"description": "as asked", "content": {"application/json": {"schema": {"type": "object"}}}},
            **{status: {"description": "why not", "content": _PROBLEM} for status in problems},
        },
    }


def _take_report() -> dict[str, Any]:
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Report"}}}
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}
    refusals = {"400": "not a report", "409": "the name is in use", "413": "too long", "415": "not application/json"}
    return {
        "summary": "An appliance says how it is.",
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": {"description": "which held files are known", "content": answer},
            **{status: {"description": why, "content": _PROBLEM} for status, why in refusals.items()},
        },
    }


def _play(media_type: str) -> dict[str, Any]:
    return {
        "summary": "Begins a session: its manifest, with the pathways of this client and the steering URI.",
        "parameters": [_TITLE, _SESSION],
        "responses": {
            "200": {"description": "the manifest", "content": {media_type: {"schema": {"type": "string"}}}},
            **{status: {"description": "why not", "content": _PROBLEM} for status in ("400", "404", "503")},
        },
    }


def _hear() -> dict[str, Any]:
    return {
        "summary": "What a player tells of itself: CMCD events (CTA-5004-B section 2.2). 204, whatever they are.",
        "parameters": [_TOKEN],
        "requestBody": {
            "content": {kind: {"schema": {"type": "string"}} for kind in ("application/cmcd", "text/cmcd")}
        },
        "responses": {"204": {"description": "taken"}, "413": {"description": "too many", "content": _PROBLEM}},
    }


def _steer(form: str) -> dict[str, Any]:
    names = (f"_{form.upper()}_pathway", f"_{form.upper()}_throughput")
    schema = {"$ref": "#/components/schemas/SteeringManifest"}
    return {
        "summary": "The steering manifest of a session. Always 200: players give up steering at anything else.",
        "parameters": [_TOKEN, *({"name": name, "in": "query", "schema": {"type": "string"}} for name in names)],
        "responses": {"200": {"description": "whom to ask", "content": {"application/json": {"schema": schema}}}},
    }

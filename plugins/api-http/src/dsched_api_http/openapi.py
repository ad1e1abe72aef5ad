"""The OpenAPI 3.1 document, made of the table of routes."""

import re
from collections.abc import Sequence
from typing import Any

from dsched.config.structuring import fields_of
from dsched.model import TaskConfig
from dsched_api_http.call import Entry, Patch, Route
from dsched_api_http.idempotency import HEADER
from dsched_api_http.problems import CODES, PROBLEM_TYPE
from dsched_api_http.requests import Submit
from dsched_api_http.schema import Schema, Schemas, entry_schema

BASE = "/api/v1"
_ALWAYS = (
    "bad_request",
    "forbidden",
    "too_large",
    "invalid",
    "store_unavailable",
    "store_read_only",
)
_WITH_SCOPE = ("unauthenticated", "too_many_requests")
_PARAMETER = re.compile(r"\{(\w+)\}")

PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": list(CODES)},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
        "hint": {"type": "string"},
    },
}


def address_of(route: Route) -> str:
    """Where a route is: probes and figures at the root, all else below the version."""
    return route.path if route.plain else BASE + route.path


def document(routes: Sequence[Route]) -> Schema:
    """The whole document."""
    schemas = Schemas()
    schemas.components["Problem"] = PROBLEM
    schemas.components["ConfigEntry"] = entry_schema(TaskConfig, schemas)
    paths: dict[str, Any] = {}
    for route in routes:
        operations = paths.setdefault(address_of(route), {})
        operations[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dsched",
            "version": "1",
            "description": "The API of a dsched cluster. Errors are problem documents (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: Schemas) -> Schema:
    found: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.name.partition(".")[0]],
        "parameters": _parameters(route, schemas),
        "responses": _responses(route, schemas),
    }
    if route.scope is not None:
        found["security"] = [{"token": []}]
        found["x-dsched-scope"] = route.scope.value
    if route.body is not None:
        found["requestBody"] = {
            "required": not route.body_optional,
            "content": {"application/json": {"schema": _body(route.body, schemas)}},
        }
    return found


def _parameters(route: Route, schemas: Schemas) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]
    shape = schemas.object(route.query)
    for name, schema in shape["properties"].items():
        required = name in shape.get("required", ())
        found.append({"name": name, "in": "query", "required": required, "schema": schema})
    if route.idempotent:
        found.append(_header(HEADER, {"type": "string", "pattern": "^[!-~]{1,200}$"}))
    if route.stream:
        found.append(_header("Last-Event-ID", {"type": "string"}))
    return found


def _header(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": schema}


def _body(body: type[Any], schemas: Schemas) -> Schema:
    if body is Entry:
        return {"$ref": "#/components/schemas/ConfigEntry"}
    if body is Patch:
        return {"type": "object", "description": "RFC 7396: null takes a field away"}
    schema = schemas.of(body)
    for name, field in fields_of(body).items():
        items = field.metadata.get("items")
        if items is not None:
            found = schemas.components[body.__name__]["properties"][name]
            found["items"] = schemas.of(Submit) if items == "Submit" else _config_item(schemas)
    return schema


def _config_item(schemas: Schemas) -> Schema:
    """An entry with the id that stands in the address elsewhere."""
    entry = entry_schema(TaskConfig, schemas)
    schemas.components["ConfigItem"] = entry | {
        "required": ["id", *entry.get("required", ())],
        "properties": {"id": {"type": "string", "minLength": 1}, **entry["properties"]},
    }
    return {"$ref": "#/components/schemas/ConfigItem"}


def _responses(route: Route, schemas: Schemas) -> Schema:
    found: Schema = {}
    for status in (route.status, *route.also):
        found[str(status)] = {"description": route.summary, **_content(route, schemas)}
    codes = [*route.problems, *_ALWAYS]
    if route.scope is not None:
        codes += _WITH_SCOPE
    if route.body is not None:
        codes.append("unsupported_media")
    for code in codes:
        status, title = CODES[code]
        refused = found.setdefault(str(status), {"description": title, "content": {}})
        refused.setdefault("content", {})[PROBLEM_TYPE] = {
            "schema": {"$ref": "#/components/schemas/Problem"}
        }
    return found


def _content(route: Route, schemas: Schemas) -> Schema:
    if route.stream:
        return {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
    if route.answer is None:
        return {"content": {"text/plain": {"schema": {"type": "string"}}}} if route.plain else {}
    schema = schemas.of(route.answer)
    if route.listed:
        schema = {
            "type": "object",
            "required": ["items", "cursor"],
            "properties": {
                "items": {"type": "array", "items": schema},
                "cursor": {"type": ["string", "null"]},
            },
        }
    return {"content": {"application/json": {"schema": schema}}}

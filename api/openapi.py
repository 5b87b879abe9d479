"""What ``/openapi.json`` says beyond the single routes: the shape of every error, and names of operations."""

from __future__ import annotations

import inspect
import re
from typing import Any

from apiflask import APIFlask

from api import operations
from api.auth import OPEN_PATHS
from api.protocol_errors import Protocol, protocol_of

_ERROR = {
    "type": "object",
    "description": "One thing that is wrong, at a JSON pointer, or in a row and column of a file",
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "pointer": {"type": "string"},
        "row": {"type": "integer"},
        "column": {"type": "string"},
    },
    "required": ["code"],
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people and says what to do",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["unknown_model"]},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": _ERROR},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "detail", "errors", "request_id"],
}


def register(app: APIFlask, *, asks_for_keys: bool) -> None:
    """Set how ``app`` describes itself."""
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["AUTO_OPERATION_ID"] = True
    app.description = "Score files of any size with scikit-learn models: one row in, one row out."

    def complete(spec: dict[str, Any] | str) -> dict[str, Any] | str:
        if isinstance(spec, dict):  # text only where the document is set to be YAML
            _use_whole_docstrings(app, spec["paths"])
            _describe_operations(app, spec)
            spec["security"] = _security(asks_for_keys)
        return spec

    app.spec_processor(complete)


def _security(asks_for_keys: bool) -> list[dict[str, list[str]]]:
    ways: list[dict[str, list[str]]] = [{name: []} for name in operations.SECURITY_SCHEMES]
    return ways if asks_for_keys else [{}, *ways]


def _use_whole_docstrings(app: APIFlask, paths: dict[str, Any]) -> None:
    """The library takes a docstring's first line for the summary; ours have a summary of their own."""
    for rule in app.url_map.iter_rules():
        whole = inspect.cleandoc(app.view_functions[rule.endpoint].__doc__ or "")
        rest = "\n".join(whole.splitlines()[1:]).strip()
        path = re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method, operation in paths.get(path, {}).items():
            if method.upper() in (rule.methods or ()) and operation.get("description", "") == rest:
                operation["description"] = whole


def _describe_operations(app: APIFlask, spec: dict[str, Any]) -> None:
    """Parameters, bodies and answers by endpoint, and the refusals that every route shares."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method, operation in spec["paths"].get(path, {}).items():
            if method.upper() in (rule.methods or ()):
                _complete(operation, rule.endpoint, path)
    components = spec.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPError", None)
    schemas |= {"Problem": PROBLEM, **operations.SCHEMAS}
    components["securitySchemes"] = operations.SECURITY_SCHEMES


def _complete(operation: dict[str, Any], endpoint: str, path: str) -> None:
    if given := operations.PARAMETERS.get(endpoint):
        operation["parameters"] = [*operation.get("parameters", []), *given]
    if body := operations.BODIES.get(endpoint):
        operation["requestBody"] = body
    if path in OPEN_PATHS:
        operation["security"] = []
    answers, protocol = operation["responses"], protocol_of(path)
    for status, content in operations.ANSWERS.get(endpoint, {}).items():
        answers[status]["content"] = content
    for status, text in operations.REFUSALS.items():
        if protocol is None or status != "422":  # the protocols have a 400 for it
            answers.setdefault(status, {"description": text})
    for status, answer in answers.items():
        if status in ("204", "304"):
            answer.pop("content", None)
        elif status >= "400":
            answer["content"] = _content_of_problem(protocol)


def _content_of_problem(protocol: Protocol | None) -> dict[str, Any]:
    if protocol is None:
        return {"application/problem+json": {"schema": operations.ref("Problem")}}
    names = ("error",) if protocol == "v2" else ("error_code", "message")
    return {"application/json": {"schema": operations.an_object(**dict.fromkeys(names, operations.TEXT))}}

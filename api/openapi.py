"""What ``/openapi.json`` says beyond the single routes: the shape of every error, and names of operations."""

from __future__ import annotations

import inspect
import re
from typing import Any

from apiflask import APIFlask

from api.protocol_errors import protocol_of

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


def register(app: APIFlask) -> None:
    """Set how ``app`` describes itself."""
    app.config["OPENAPI_VERSION"] = "3.1.0"
    app.config["AUTO_OPERATION_ID"] = True
    app.description = "Score files of any size with scikit-learn models: one row in, one row out."

    def complete(spec: dict[str, Any] | str) -> dict[str, Any] | str:
        if isinstance(spec, dict):  # text only where the document is set to be YAML
            _use_whole_docstrings(app, spec["paths"])
            _describe_problems(spec)
        return spec

    app.spec_processor(complete)


def _use_whole_docstrings(app: APIFlask, paths: dict[str, Any]) -> None:
    """The library takes a docstring's first line for the summary; ours have a summary of their own."""
    for rule in app.url_map.iter_rules():
        whole = inspect.cleandoc(app.view_functions[rule.endpoint].__doc__ or "")
        rest = "\n".join(whole.splitlines()[1:]).strip()
        path = re.sub(r"<(?:[^<:>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        for method, operation in paths.get(path, {}).items():
            if method.upper() in (rule.methods or ()) and operation.get("description", "") == rest:
                operation["description"] = whole


def _describe_problems(spec: dict[str, Any]) -> None:
    """Every answer of 400 and more is a problem, not the error that the library itself would describe."""
    for path, operations in spec["paths"].items():
        content = _content_of_problem(path)
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    answer["content"] = content
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPError", None)
    schemas["Problem"] = PROBLEM


def _content_of_problem(path: str) -> dict[str, Any]:
    protocol = protocol_of(path)
    if protocol is None:
        return {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    names = ("error",) if protocol == "v2" else ("error_code", "message")
    properties = {name: {"type": "string"} for name in names}
    return {
        "application/json": {"schema": {"type": "object", "properties": properties, "required": [*names]}}
    }

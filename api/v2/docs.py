"""What the OpenAPI document says of the V2 routes: the shapes of requests and answers."""

from __future__ import annotations

from typing import Any

from api.spreading import KEY_PARAMETER
from api.v2.body import HEADER
from api.v2.tensors import DATATYPES

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_SHAPE = {"type": "array", "items": {"type": "integer"}}
_DATATYPE = {"type": "string", "enum": list(DATATYPES)}
_PARAMETERS = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "description": "`binary_data_size` of a tensor whose data stand behind the JSON",
}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_METADATA = _object(["name", "datatype", "shape"], name=_TEXT, datatype=_DATATYPE, shape=_SHAPE)
_TENSOR = _object(
    ["name", "datatype", "shape"],
    name=_TEXT,
    datatype=_DATATYPE,
    shape=_SHAPE,
    parameters=_PARAMETERS,
    data={"type": "array", "items": {}},
)
_REQUEST = _object(
    ["inputs"],
    id=_TEXT,
    parameters={"type": "object", "description": "`binary_data_output`: all outputs in binary"},
    inputs={"type": "array", "items": _TENSOR, "minItems": 1},
    outputs={
        "type": "array",
        "items": _object(["name"], name=_TEXT, parameters={"type": "object", "description": "`binary_data`"}),
        "description": "default: all outputs",
    },
)
_RESPONSE = _object(
    ["model_name", "outputs"],
    model_name=_TEXT,
    model_version=_TEXT,
    id=_TEXT,
    outputs={"type": "array", "items": _TENSOR},
)
_DESCRIPTION = _object(
    ["name", "platform", "inputs", "outputs"],
    name=_TEXT,
    versions=_TEXTS,
    platform=_TEXT,
    inputs={"type": "array", "items": _METADATA},
    outputs={"type": "array", "items": _METADATA},
    properties={"type": "object", "additionalProperties": _TEXT},
)
_UNKNOWN: dict[int | str, Any] = {
    400: "Not the name of a model",
    404: "There is no such model or version",
    410: "The version was retired",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}

SERVER: dict[int | str, Any] = {
    200: _json(
        "The server", _object(["name", "version", "extensions"], name=_TEXT, version=_TEXT, extensions=_TEXTS)
    )
}
LIVE: dict[int | str, Any] = {200: _json("Alive", _object(["live"], live={"type": "boolean"}))}
READY: dict[int | str, Any] = {
    200: _json("Ready", _object(["ready"], ready={"type": "boolean"})),
    503: "Not ready; the error says why",
}
MODEL: dict[int | str, Any] = {200: _json("The model", _DESCRIPTION), **_UNKNOWN}
MODEL_READY: dict[int | str, Any] = {
    200: _json("Loaded", _object(["name", "ready"], name=_TEXT, ready={"type": "boolean"})),
    **_UNKNOWN,
}
INFER: dict[str, Any] = {
    "responses": {
        200: {
            "description": f"The outputs. With binary ones the JSON has as many bytes as `{HEADER}` says",
            "content": {"application/json": {"schema": _RESPONSE}, "application/octet-stream": _BINARY},
            "headers": {HEADER: {"schema": {"type": "integer"}}},
        },
        400: "The request is not what it says, or the rows do not fit the model",
        404: "There is no such model or version",
        410: "The version was retired",
        413: "Too many rows or bytes for an answer on the spot",
        415: "The Content-Encoding is not known",
    },
    "extensions": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _REQUEST}, "application/octet-stream": _BINARY},
        },
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "schema": {"type": "integer"},
                "description": "length of the JSON, where binary data stand behind it",
            },
            KEY_PARAMETER,
        ],
    },
}

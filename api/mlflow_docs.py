"""What the OpenAPI document says of MLflow's routes: the shapes of bodies and answers."""

from __future__ import annotations

from typing import Any

from api.mlflow_bodies import CSV, JSON
from api.spreading import KEY_PARAMETER

_ROWS = {"type": "array", "items": {}}
_SPLIT = {
    "type": "object",
    "properties": {"columns": _ROWS, "data": _ROWS, "index": _ROWS},
    "required": ["columns", "data"],
}
_SHAPES: dict[str, Any] = {
    "dataframe_split": _SPLIT,
    "dataframe_records": _ROWS,
    "instances": _ROWS,
    "inputs": {"type": ["array", "object"]},
}
_SENT = {
    "oneOf": [
        {"type": "object", "properties": {name: schema}, "required": [name]}
        for name, schema in _SHAPES.items()
    ]
}
_ANSWER = {"type": "object", "properties": {"predictions": _ROWS}, "required": ["predictions"]}

INVOCATIONS: dict[str, Any] = {
    "responses": {
        200: {
            "description": "The predictions in the order of the rows",
            "content": {"application/json": {"schema": _ANSWER}},
        },
        400: "The body is not what its Content-Type says, or the rows do not fit the model",
        404: "There is no such model",
        410: "The version was retired",
        413: "Too many rows or bytes for an answer on the spot",
        415: "Neither JSON nor CSV, or not UTF-8, or of an unknown Content-Encoding",
    },
    "extensions": {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _SENT}, CSV: {"schema": {"type": "string"}}},
        },
        "parameters": [
            {"name": "model", "in": "query", "required": False, "schema": {"type": "string"}},
            KEY_PARAMETER,
        ],
    },
}
PING: dict[str, Any] = {
    "responses": {200: {"description": "There is; the body is empty"}, 404: "There is no model yet"}
}
VERSION: dict[str, Any] = {
    "responses": {
        200: {
            "description": "Rowmill's version, not MLflow's",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    }
}

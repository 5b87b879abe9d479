"""What the OpenAPI document says about ``POST /predict``: the shapes of its body and of its answers."""

from __future__ import annotations

from typing import Any

from api.spreading import KEY_PARAMETER

DESCRIPTION = """One row, image or text is answered with one prediction, several with a list in their order.

The row is checked against the model's signature first, and everything that is wrong is told at once, each
with a JSON pointer. Besides the shapes shown, a bare record (all keys are columns) and the shapes of MLflow
(`dataframe_split`, `dataframe_records`, `inputs`) are taken. The model is named in the body or as `?model=`:
`wine` means the production version, else the latest, `wine@3` version 3. More rows than the server's limit
belong into a file for `POST /jobs`.

An image stands in JSON as base64 (also URL-safe, without padding, or as `{"b64": …}`) or as a data URL, in a
form as a part `image`, or it is the body itself. The format is found by content."""

_ROW = {
    "oneOf": [
        {"type": "object", "description": "values by column name"},
        {"type": "array", "items": {}, "description": "values in the order of the model's columns"},
        {"type": "string", "description": "the text, for a model of texts"},
    ]
}
_REFERENCE = {"type": "string", "examples": ["wine", "wine@3", "wine@production"]}
_ANSWER: dict[str, Any] = {
    "prediction": {
        "description": "a label or a number; an object by target if the model has several outputs"
    },
    "confidence": {"description": "the largest probability; only if the model gives probabilities"},
    "probabilities": {"type": "object", "description": "by class"},
}
_ID: dict[str, Any] = {
    "prediction_id": {"type": "string", "description": "to send its true label; only if it was logged"}
}
_KEY = {"type": "string", "minLength": 1, "maxLength": 255, "description": "your own name for the row"}
_WARNINGS = {
    "type": "array",
    "description": "values that were scored although training had nothing like them; only if there are some",
    "items": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
        "required": ["pointer", "code", "detail"],
    },
}
_MODEL = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "version": {"type": "integer"}},
    "required": ["name", "version"],
}
_ONE = {
    "type": "object",
    "properties": {"model": _MODEL, **_ANSWER, **_ID, "warnings": _WARNINGS},
    "required": ["model", "prediction"],
}
_SEVERAL = {
    "type": "object",
    "properties": {
        "model": _MODEL,
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"index": {"type": "integer"}, **_ANSWER, **_ID},
                "required": ["index", "prediction"],
            },
        },
        "warnings": _WARNINGS,
    },
    "required": ["model", "predictions"],
}


_IMAGE = {"type": "string", "description": "an image in base64, or a data URL"}


def _body(name: str, rows: dict[str, Any]) -> dict[str, Any]:
    key = {"keys": {"type": "array", "items": _KEY}} if rows.get("type") == "array" else {"key": _KEY}
    return {"type": "object", "properties": {"model": _REFERENCE, **key, name: rows}, "required": [name]}


_SENT = {
    "oneOf": [
        _body("features", _ROW),
        *(_body(name, {"type": "array", "items": _ROW}) for name in ("instances", "samples", "data")),
        _body("text", {"type": "string", "description": "one text, not empty"}),
        _body("texts", {"type": "array", "items": {"type": "string"}}),
        _body("image", _IMAGE),
        _body("images", {"type": "array", "items": _IMAGE}),
        {"type": "object", "description": "a bare record, or a shape of MLflow"},
    ]
}
_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {
        "image": {
            "description": "may be repeated; file is another name for it",
            "oneOf": [_BINARY, {"type": "array", "items": _BINARY}],
        },
        "model": _REFERENCE,
        "key": _KEY,
    },
    "required": ["image"],
}
_X_CACHE = {
    "description": "whether the prediction was kept from before; only where the server keeps them",
    "schema": {"type": "string", "enum": ["hit", "miss"]},
}
_X_SCORER = {
    "description": "what scored the rows: the kind of a compiled scorer, or sklearn; absent if it was kept",
    "schema": {"type": "string"},
}
OPERATION: dict[str, Any] = {
    "description": DESCRIPTION,
    "responses": {
        200: {
            "description": "The prediction, or the predictions in the order of the rows",
            "content": {"application/json": {"schema": {"anyOf": [_ONE, _SEVERAL]}}},
            "headers": {"X-Cache": _X_CACHE, "X-Scorer": _X_SCORER},
        },
        400: "The body is not JSON, or no model is named",
        404: "There is no such model",
        410: "The version was retired",
        413: "Too many rows or bytes for an answer on the spot",
        415: "The Content-Encoding is not known",
        422: "The rows do not fit the model; `errors` says where",
    },
    # parts of the operation for which the library has no argument are copied as they stand
    "extensions": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _SENT},
                "multipart/form-data": {"schema": _FORM},
                "image/*": {"schema": _BINARY},
            },
        },
        "parameters": [
            {"name": "model", "in": "query", "required": False, "schema": _REFERENCE},
            {"name": "key", "in": "query", "required": False, "schema": _KEY},
            KEY_PARAMETER,
        ],
    },
}

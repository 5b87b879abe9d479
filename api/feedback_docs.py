"""What the OpenAPI document says about ``/feedback`` and ``/models/<name>/accuracy``."""

from __future__ import annotations

from typing import Any

_COUNT = {"type": "integer", "minimum": 0}
_SHARE = {"type": ["number", "null"], "description": "null while no label is known"}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MOMENT = {"type": "string", "format": "date-time"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


_FIGURES = {
    "predictions": {**_COUNT, "description": "logged ones, and rows of jobs of which labels are known"},
    "labelled": _COUNT,
    "coverage": _SHARE,
}
_ERRORS = {
    "accuracy": {**_SHARE, "description": "of labels: the share that was right"},
    "mae": {**_SHARE, "description": "of numbers: the mean of the absolute errors"},
    "rmse": {**_SHARE, "description": "of numbers: the root of the mean of the squared errors"},
}
_LABEL = {
    **_object(
        {"label": {"type": ["string", "number", "boolean", "null"]}},
        {
            "prediction_id": {**_TEXT, "description": "as the answer of `POST /predict` named it"},
            "key": {**_TEXT, "description": "your own name for it"},
            "row": {**_COUNT, "description": "of a job; the first row is 0"},
        },
    ),
}
_SENT = _object(
    {"labels": {"type": "array", "minItems": 1, "items": _LABEL}},
    {
        "job": {**_TEXT, "description": "the job whose rows are labelled"},
        "model": {**_TEXT, "description": "whose predictions the keys name; default: the server's"},
        "key": {**_TEXT, "description": "the kept column of the job's result that has the keys"},
    },
)
_TOLD = _object(
    {
        "labels": _object(dict.fromkeys(("sent", "joined", "unknown", "unusable", "unseen"), _COUNT)),
        "unknown_keys": {**_TEXTS, "description": "the first ones that met no prediction"},
        "unusable_labels": {**_TEXTS, "description": "the first ones that are of another type"},
        "unseen_labels": {**_TEXTS, "description": "the first ones that are no class of the model"},
    },
    {"job": _object({"id": _TEXT, **_FIGURES}, _ERRORS)},
)
_BINARY = {"type": "string", "format": "binary"}
FEEDBACK: dict[str, Any] = {
    "description": """Labels as JSON, or as a file with a column of labels: CSV, JSON Lines or Parquet.

Without `job` they are joined to predictions on the spot, by the `prediction_id` of the answer or by the key
that the request named. With `job` they are joined to the rows of its result: by a kept column, by row
numbers, or in order. The same labels again change nothing; a later label of a row counts in place of the
earlier one.""",
    "responses": {
        200: {
            "description": "What became of the labels",
            "content": {"application/json": {"schema": _TOLD}},
        },
        400: "The body is not what it says it is",
        404: "There is no such job or model",
        409: "The job did not succeed (yet), or others send labels of it at this moment",
        410: "The result is gone",
        413: "The body is too large",
        415: "The file is of no known format",
        422: "Nothing of it can be a label, or an option is wrong",
    },
    "extensions": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _SENT},
                "application/octet-stream": {"schema": _BINARY},
                "text/csv": {"schema": _TEXT},
                "multipart/form-data": {"schema": _object({"file": _BINARY})},
            },
        },
        "parameters": [
            _query("job", _TEXT, "the job whose rows are labelled"),
            _query("model", _TEXT, "whose predictions the keys name"),
            _query("key", _TEXT, "column of keys, in the file and in the job's result"),
            _query("row", _TEXT, "column of row numbers, from 0"),
            _query("prediction_id", _TEXT, "column of ids"),
            _query("label", _TEXT, "column of labels; default `label`"),
        ],
    },
}
_STEP = _object({"from": _MOMENT, "to": _MOMENT, **_FIGURES}, _ERRORS)
_MOMENT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_ALARM = {
    **_object(
        {
            "fell_at": _MOMENT,
            "accuracy": {"type": "number"},
            "below": {"type": "number", "description": "the setting `accuracy_below`"},
            "labelled": _COUNT,
            "calls": {**_COUNT, "description": "of the operator's command, begun so far"},
            "told_at": {**_MOMENT_OR_NULL, "description": "when a call ended well"},
            "failure": {"type": ["string", "null"], "description": "of the last call"},
            "due_at": {**_MOMENT_OR_NULL, "description": "when it is called again, if it is"},
        }
    ),
    "type": ["object", "null"],
    "description": "admins only: the version's last fall below `accuracy_below` within the window",
}
_VERSION = _object(
    {
        "version": {"type": "integer"},
        **_FIGURES,
        "lost": {**_COUNT, "description": "predictions that were answered and not logged"},
        "over_time": {"type": "array", "items": _STEP},
    },
    {**_ERRORS, "alarm": _ALARM},
)
ACCURACY: dict[str, Any] = {
    "responses": {
        200: {
            "description": "By version, and within it by time",
            "content": {
                "application/json": {
                    "schema": _object(
                        {
                            "model": _TEXT,
                            "window_seconds": {"type": "number"},
                            "step_seconds": {"type": "integer"},
                            "versions": {"type": "array", "items": _VERSION},
                        }
                    )
                }
            },
        },
        404: "There is no such model or version",
        422: "An option is wrong",
    },
    "extensions": {
        "parameters": [
            _query("version", {"type": "integer", "minimum": 1}, "only this version"),
            _query(
                "window",
                {"type": "string", "pattern": "^[1-9][0-9]{0,3}[smhdw]?$"},
                "how far back: `24h`, `7d`; 30 days if left out",
            ),
        ]
    },
}

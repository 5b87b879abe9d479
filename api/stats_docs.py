"""What the OpenAPI document says about ``GET /stats``."""

from __future__ import annotations

from typing import Any

_COUNT = {"type": "integer", "minimum": 0}
_MILLISECONDS = {"type": ["number", "null"], "description": "null if there was no request"}
_COUNTS: dict[str, Any] = {
    "requests": {**_COUNT, "description": "all that were answered"},
    "errors": {**_COUNT, "description": "answers of 500 and more, and those that broke off"},
    "refusals": {**_COUNT, "description": "answers of 400 to 499"},
    "cache": {
        "type": "object",
        "description": "of the result cache",
        "properties": {"hits": _COUNT, "misses": _COUNT},
        "required": ["hits", "misses"],
    },
}
_MEASURED: dict[str, Any] = {
    **_COUNTS,
    "error_rate": {"type": ["number", "null"], "description": "errors per request"},
    **dict.fromkeys(("mean_ms", "p50_ms", "p95_ms", "p99_ms"), _MILLISECONDS),
    "total": {
        "type": "object",
        "description": "since the counting began",
        "properties": _COUNTS,
        "required": list(_COUNTS),
    },
}


def _named(**more: Any) -> dict[str, Any]:
    """Something measured, and what it is the measure of."""
    properties = {**more, **_MEASURED}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_MODEL = _named(model={"type": "string", "examples": ["wine@3"]})
_ROUTE = _named(route={"type": "string", "examples": ["POST /predict"]}, models=_list(_MODEL))
_DIFFERENCE = {"type": ["number", "null"], "description": "in the unit that the model predicts"}
_CHANGE: dict[str, Any] = {
    "target": {"type": ["string", "null"], "description": "null if the model has one only"},
    "rows": {**_COUNT, "description": "for which both said a finite number"},
    "unchanged": {**_COUNT, "description": "for which both said the same"},
    "mean": {**_DIFFERENCE, "description": "of the challenger's numbers less the champion's"},
    "mean_absolute": {**_DIFFERENCE, "description": "of the sizes of these differences"},
    "quantiles_absolute": {
        **_list(
            {
                "type": "object",
                "properties": {"quantile": {"type": "number"}, "change": _DIFFERENCE},
                "required": ["quantile", "change"],
            }
        ),
        "description": "of the sizes, at most 10 % off; the last is the largest, exactly",
    },
}
_SHADOW_COUNTS: dict[str, Any] = {
    "rows": {**_COUNT, "description": "that the challenger was given"},
    "errors": {**_COUNT, "description": "rows that it failed at"},
    "refusals": {**_COUNT, "description": "rows that its checks refused"},
    "agreed": {**_COUNT, "description": "labels that are the champion's"},
    "flipped": {**_COUNT, "description": "other labels"},
    "dropped": {**_COUNT, "description": "rows that were not given to it, for want of room"},
    "changes": {
        **_list({"type": "object", "properties": _CHANGE, "required": list(_CHANGE)}),
        "description": "of models that predict numbers, one entry a target; empty until a row was compared",
    },
}
_SHADOW: dict[str, Any] = {
    "model": {"type": "string"},
    **_SHADOW_COUNTS,
    **dict.fromkeys(("mean_ms", "p50_ms", "p95_ms", "p99_ms"), _MILLISECONDS),
    "total": {"type": "object", "properties": _SHADOW_COUNTS, "required": list(_SHADOW_COUNTS)},
}
_ALIAS: dict[str, Any] = {
    "alias": {"type": "string", "examples": ["wine@production"]},
    "arms": _list(_MODEL),
    "shadows": _list({"type": "object", "properties": _SHADOW, "required": list(_SHADOW)}),
}
_STATS: dict[str, Any] = {
    "window_seconds": {"type": "integer"},
    "since": {"type": "string", "format": "date-time"},
    "all": _named(),
    "routes": _list(_ROUTE),
    "models": _list(_MODEL),
    "aliases": _list({"type": "object", "properties": _ALIAS, "required": list(_ALIAS)}),
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Requests and times of the window, and counts in all",
        "content": {
            "application/json": {"schema": {"type": "object", "properties": _STATS, "required": list(_STATS)}}
        },
    }
}

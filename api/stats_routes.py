"""``/stats``: requests, errors and times by route and by model, of all processes together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, cast

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify

from api.presenting import timestamp
from api.stats_docs import RESPONSES
from base.meter.layout import WINDOW_SECONDS
from base.meter.meter import Meter
from base.meter.tally import Measured, Reading, Tally

blueprint = APIBlueprint("stats", __name__, tag="Health")


@blueprint.get("/stats")
@blueprint.doc(summary="Requests, errors and times", responses=RESPONSES)
def stats() -> Response:
    """Of the last five minutes, and in all: by route, by model, and by model within each route."""
    meter = cast(Meter, current_app.extensions["meter"])
    answer = jsonify(presented(meter.read(time.monotonic())))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def presented(reading: Reading) -> dict[str, Any]:
    """A reading as public JSON; those with the most requests first."""
    routes: dict[str, dict[str, Measured]] = {}
    models: dict[str, list[Measured]] = {}
    for (route, model), measured in reading.series.items():
        routes.setdefault(route, {})[model or ""] = measured
        if model:
            models.setdefault(model, []).append(measured)
    by_route = [
        {
            "route": route,
            **_together(several.values()),
            "models": _models({model: [measured] for model, measured in several.items() if model}),
        }
        for route, several in routes.items()
    ]
    return {
        "window_seconds": WINDOW_SECONDS,
        "since": timestamp(reading.began_at),
        "all": _together(reading.series.values()),
        "routes": _busiest_first(by_route),
        "models": _models(models),
    }


def _models(models: dict[str, list[Measured]]) -> list[dict[str, Any]]:
    return _busiest_first([{"model": model, **_together(parts)} for model, parts in models.items()])


def _busiest_first(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: -int(entry["total"]["requests"]))


def _together(parts: Iterable[Measured]) -> dict[str, Any]:
    measured = Measured.of(parts)
    recent = measured.recent
    count = recent.requests
    return {
        **_counts(recent),
        "error_rate": recent.errors / count if count else None,
        "mean_ms": round(recent.seconds / count * 1000, 3) if count else None,
        **{f"p{share}_ms": _milliseconds(recent.quantile_seconds(share / 100)) for share in (50, 95, 99)},
        "total": _counts(measured.total),
    }


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "errors": tally.errors,
        "refusals": tally.refusals,
        "cache": {"hits": tally.hits, "misses": tally.misses},
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)

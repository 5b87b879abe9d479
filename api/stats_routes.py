"""``/stats``: requests, errors and times by route and by model, of all processes together."""

from __future__ import annotations

import time
from typing import Any, cast

from apiflask import APIBlueprint
from flask import Response, current_app, jsonify

from api.presenting import timestamp
from api.stats_docs import RESPONSES
from api.stats_entries import busiest_first, of_aliases, of_models, together
from base.meter import spread
from base.meter.layout import WINDOW_SECONDS
from base.meter.meter import Meter
from base.meter.tally import Measured, Reading

blueprint = APIBlueprint("stats", __name__, tag="Health")


@blueprint.get("/stats")
@blueprint.doc(summary="Requests, errors and times", responses=RESPONSES)
def stats() -> Response:
    """Of the last five minutes, and in all: by route, by model, and by model within each route.

    Under `aliases` stands what the versions did that share an alias's requests: its arms, and the challengers
    that scored copies. Those requests are counted under their route as well.
    """
    meter = cast(Meter, current_app.extensions["meter"])
    answer = jsonify(presented(meter.read(time.monotonic())))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def presented(reading: Reading) -> dict[str, Any]:
    """A reading as public JSON; those with the most requests first."""
    shared = {key: measured for key, measured in reading.series.items() if spread.parts(key[0])}
    series = {key: measured for key, measured in reading.series.items() if key not in shared}
    routes: dict[str, dict[str, Measured]] = {}
    models: dict[str, list[Measured]] = {}
    for (route, model), measured in series.items():
        routes.setdefault(route, {})[model or ""] = measured
        if model:
            models.setdefault(model, []).append(measured)
    by_route = [
        {
            "route": route,
            **together(several.values()),
            "models": of_models({model: [measured] for model, measured in several.items() if model}),
        }
        for route, several in routes.items()
    ]
    return {
        "window_seconds": WINDOW_SECONDS,
        "since": timestamp(reading.began_at),
        "all": together(series.values()),
        "routes": busiest_first(by_route),
        "models": of_models(models),
        "aliases": of_aliases(shared),
    }

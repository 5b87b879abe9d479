"""``/stats``: requests under the route and model that were found for them, not under what clients made up."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.stats_routes import presented
from base.meter.recorder import Recorder
from base.meter.tally import read
from tests.unit.api.conftest import Client, MakeApp


@pytest.fixture
def fresh(make_app: MakeApp, stocked: Path, tmp_path: Path) -> Client:
    """A client of an app whose meter has counted nothing yet, on the models of all."""
    for name in ("models", "rowmill.db"):
        (tmp_path / name).symlink_to(stocked / name)
    client: Client = make_app(tmp_path).test_client()
    client.open = partial(client.open, buffered=True)  # read to the end and closed, as a server does
    return client


def stats(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/stats").json
    return found


def by(found: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {entry[name]: entry for entry in found}


ROW = [13.0, 2.0, 2.3, 19.0, 100.0, 2.3, 2.0, 0.4, 1.6, 5.0, 1.0, 2.6, 750.0]


def test_by_route_and_by_model(fresh: Client) -> None:
    assert stats(fresh)["all"]["requests"] == 0
    for reference in ("wine@1", "wine@2", "wine@2"):
        assert fresh.post("/predict", json={"model": reference, "features": ROW}).status_code == 200
    assert fresh.post("/predict", json={"model": "wine@2", "features": [1]}).status_code == 422
    assert fresh.post("/invocations?model=wine@1", json={"inputs": [ROW]}).status_code == 200
    assert fresh.post("/predict", json={"model": "nobody", "features": ROW}).status_code == 404
    found = stats(fresh)
    routes, models = by(found["routes"], "route"), by(found["models"], "model")
    assert (routes["POST /predict"]["requests"], routes["POST /predict"]["refusals"]) == (5, 2)
    assert (models["wine@1"]["requests"], models["wine@2"]["requests"]) == (2, 3)
    assert models["wine@2"]["refusals"] == 1
    of_predict = by(routes["POST /predict"]["models"], "model")
    assert {model: entry["requests"] for model, entry in of_predict.items()} == {"wine@1": 1, "wine@2": 3}
    assert routes["GET /stats"]["requests"] == 1, "the one that asks is not yet over"
    assert found["all"]["total"]["requests"] == 7
    assert models["wine@2"]["error_rate"] == 0
    assert 0 < models["wine@2"]["p50_ms"] <= models["wine@2"]["p95_ms"] <= models["wine@2"]["p99_ms"]


def test_nobody_makes_series_by_asking_for_what_is_not_there(fresh: Client) -> None:
    for number in range(30):
        fresh.get(f"/made-up-{number}")
        fresh.post("/predict", json={"model": f"made-up-{number}", "features": ROW})
        fresh.get(f"/v2/models/made-up-{number}")
        fresh.delete(f"/healthz?{number}")
        fresh.open("/healthz", method=f"MADE{number}")
        fresh.options("/predict")
    found = stats(fresh)
    assert set(by(found["routes"], "route")) == {"other", "POST /predict", "GET /v2/models/<name>"}
    assert by(found["routes"], "route")["other"]["requests"] == 120
    assert found["models"] == []


def test_head_counts_as_get(fresh: Client) -> None:
    fresh.head("/models")
    assert by(stats(fresh)["routes"], "route")["GET /models"]["requests"] == 1


def test_the_numbers_of_a_reading() -> None:
    recorder, now = Recorder(None), time.monotonic()
    for number in range(100):
        status = 500 if number < 5 else 422 if number < 15 else 200
        recorder.record("POST /predict", "wine@1", 0.01, status, hit=number % 4 == 0, now=now)
    recorder.record("GET /", None, 1.0, 200, hit=None, now=now)
    reading = read(recorder.mapped, now)
    assert reading
    (model,) = presented(reading)["models"]
    assert (model["requests"], model["errors"], model["refusals"]) == (100, 5, 10)
    assert model["error_rate"] == 0.05
    assert model["mean_ms"] == pytest.approx(10)
    assert model["p99_ms"] == pytest.approx(10, rel=0.05)
    assert model["cache"] == {"hits": 25, "misses": 75}
    assert [entry["route"] for entry in presented(reading)["routes"]] == ["POST /predict", "GET /", "other"]
    later = read(recorder.mapped, now + 1000)
    assert later
    quiet = presented(later)["all"]
    assert (quiet["requests"], quiet["error_rate"], quiet["mean_ms"], quiet["p99_ms"]) == (
        0,
        None,
        None,
        None,
    )
    assert quiet["total"]["requests"] == 101

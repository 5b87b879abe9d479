"""A challenger scores what the champion answered; nobody who asks can tell; drops are counted."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from PIL import Image
from sklearn.datasets import load_diabetes, load_iris, load_wine

from api.stats_entries import of_aliases
from base.database import Database
from base.meter import spread
from base.meter.meter import Meter
from jobs.shadowing import offering
from jobs.shadowing.offering import Copy, Shadows
from jobs.shadowing.scoring import Challengers
from jobs.workshop import Workshop
from models.registry import Registry
from models.traffic import Arm, Traffic
from tests.unit.api.conftest import Client, MakeApp, mixed_frame, own_copy
from tests.waiting import wait_until

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

WINE: list[dict[str, Any]] = load_wine(as_frame=True).data.to_dict("records")
PATIENCE_SECONDS = 90.0  # the scoring process imports scikit-learn first


@pytest.fixture
def registry(stocked: Path, tmp_path: Path) -> Iterator[Registry]:
    """``wine@production`` is version 1, a linear model; its challenger is version 2, a forest."""
    database = Database(f"sqlite:///{own_copy(stocked, tmp_path) / 'rowmill.db'}")
    registry = Registry(database, tmp_path / "models")
    registry.shadow("wine", "production", 2, "a test")
    yield registry
    database.dispose()


@pytest.fixture
def app(registry: Registry, make_app: MakeApp, tmp_path: Path) -> Iterator[APIFlask]:
    app = make_app(tmp_path)
    yield app
    shadows_of(app).close()


@pytest.fixture
def client(app: APIFlask) -> Client:
    client: Client = app.test_client()
    client.open = partial(client.open, buffered=True)  # read to the end and closed, as a server does
    return client


def shadows_of(app: APIFlask) -> Shadows:
    shadows: Shadows = app.extensions["shadows"]
    return shadows


def label(client: Client, row: Any, model: str = "wine") -> str:
    answer = client.post("/predict", json={"model": model, "features": row})
    assert answer.status_code == 200, answer.json
    found: str = answer.json["prediction"]
    return found


def counts(client: Client) -> dict[str, int]:
    """All counts of the challenger so far, but for changes of numbers."""
    for alias in client.get("/stats").json["aliases"]:
        for shadow in alias["shadows"]:
            assert shadow["total"].pop("changes") == []
            found: dict[str, int] = shadow["total"]
            return found
    return dict.fromkeys(("rows", "errors", "refusals", "agreed", "flipped", "dropped"), 0)


def all_seen(client: Client, rows: int) -> Callable[[], bool]:
    return lambda: counts(client)["rows"] + counts(client)["dropped"] >= rows


def test_a_challenger_is_compared_with_the_champion_row_by_row(client: Client) -> None:
    champion = [label(client, row, "wine@1") for row in WINE]
    challenger = [label(client, row, "wine@2") for row in WINE]
    assert counts(client)["rows"] == 0, "a version that is named has no shadow"
    assert [label(client, row) for row in WINE] == champion
    wait_until(all_seen(client, len(WINE)), "all were scored", PATIENCE_SECONDS)
    agreed = sum(one == other for one, other in zip(champion, challenger, strict=True))
    assert counts(client) == {
        "rows": len(WINE),
        "errors": 0,
        "refusals": 0,
        "agreed": agreed,
        "flipped": len(WINE) - agreed,
        "dropped": 0,
    }
    routes = {route["route"]: route["total"]["requests"] for route in client.get("/stats").json["routes"]}
    assert routes["POST /predict"] == 3 * len(WINE), "copies are no requests"


def test_every_route_leaves_copies(client: Client) -> None:
    rows = WINE[:3]
    assert client.post("/predict", json={"instances": rows}).status_code == 400, "several models, none named"
    assert client.post("/predict", json={"model": "wine", "instances": rows}).status_code == 200
    assert client.post("/invocations?model=wine", json={"inputs": rows}).status_code == 200
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [3], "data": [row[name] for row in rows]}
        for name in rows[0]
    ]
    assert client.post("/v2/models/wine/infer", json={"inputs": inputs}).status_code == 200
    wait_until(all_seen(client, 9), "all were scored", PATIENCE_SECONDS)
    assert (counts(client)["rows"], counts(client)["errors"], counts(client)["refusals"]) == (9, 0, 0)


def test_a_challenger_that_becomes_an_arm_scores_no_copies(registry: Registry, client: Client) -> None:
    registry.split("wine", "production", Traffic((Arm(1, 9), Arm(2, 1))), "a test")
    assert [label(client, row) for row in WINE[:20]]
    assert client.get("/stats").json["aliases"][0]["shadows"] == [], "the challenger became an arm"


def test_a_process_that_is_stuck_holds_up_nobody(
    client: Client, app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "MAX_ROWS", 20)
    label(client, WINE[0])
    wait_until(all_seen(client, 1), "the process works", PATIENCE_SECONDS)
    pid = shadows_of(app).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    sent = 1
    while counts(client)["dropped"] == 0:
        for row in WINE:
            label(client, row)
        sent += len(WINE)
        assert sent < 100_000, "what waits is bounded"
    os.kill(pid, signal.SIGCONT)
    wait_until(all_seen(client, sent), "each row was scored or counted as dropped", PATIENCE_SECONDS)
    assert counts(client)["rows"] + counts(client)["dropped"] == sent


def test_a_process_that_dies_is_started_again(
    client: Client, app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(client, WINE[0])
    wait_until(all_seen(client, 1), "the first process works", PATIENCE_SECONDS)
    first = shadows_of(app).pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def goes_on() -> bool:
        label(client, WINE[0])
        return counts(client)["rows"] >= 2

    label(client, WINE[0])
    monkeypatch.setattr(offering, "RESTART_SECONDS", 0)
    wait_until(goes_on, "another process works", PATIENCE_SECONDS)
    assert shadows_of(app).pid != first


def test_what_cannot_be_passed_on_is_dropped_and_the_next_copy_is_not(client: Client, app: APIFlask) -> None:
    challenger = app.extensions["workshop"].registry.resolve("wine@2")
    endless: list[Any] = []
    endless.append(endless)
    for odd in ({"alcohol": object()}, endless, {b"alcohol": 1}, 10**5000, "\ud800", float("nan")):
        shadows_of(app).offer("wine@production", challenger, [odd], ["barolo"], 1)
    label(client, WINE[0])
    wait_until(all_seen(client, 7), "all are counted", PATIENCE_SECONDS)
    assert (counts(client)["rows"], counts(client)["dropped"]) == (3, 4)


def test_no_thread_for_copies_is_no_harm(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        label(client, WINE[0])
    assert counts(client)["dropped"] == 1
    label(client, WINE[1])
    wait_until(all_seen(client, 2), "there is a thread again", PATIENCE_SECONDS)
    assert counts(client)["rows"] == 1


def test_copies_count_as_large_as_they_are(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "MAX_BYTES", 20_000)
    body = json.dumps({"model": "wine", "features": WINE[0]}).encode() + b" " * 20_000
    packed = gzip.compress(body)
    assert len(packed) < 2000
    answer = client.post("/predict", data=packed, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert counts(client)["dropped"] == 1


@pytest.fixture
def challengers(shared_app: APIFlask, tmp_path: Path) -> Challengers:
    shop: Workshop = shared_app.extensions["workshop"]
    return Challengers(shop, Meter(tmp_path))


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 9).save(buffer, "PNG")
    return buffer.getvalue()


ROWS: dict[str, list[Any]] = {
    "wine@1": [WINE[0], list(WINE[1].values())],
    "flowers": load_iris().data[:2].tolist(),
    "digits": [{"image": picture()}, {"b64": base64.b64encode(picture()).decode()}],
    "churn": mixed_frame(2).to_dict("records"),
    "moods": ["a good day", {"review": "a bad night"}],
    "diabetes": load_diabetes().data[:2].tolist(),
}


@pytest.mark.parametrize("model", list(ROWS))
def test_rows_of_every_kind_reach_the_challenger_as_they_were(
    shared_app: APIFlask, challengers: Challengers, model: str, tmp_path: Path
) -> None:
    rows = ROWS[model]
    client: Client = shared_app.test_client()
    as_json = json.loads(json.dumps(rows, default=lambda image: base64.b64encode(image).decode()))
    body = {"model": model, "instances": as_json}
    answered = client.post("/predict", json=body).json
    said = [each["prediction"] for each in answered["predictions"]]
    manifest = shared_app.extensions["workshop"].registry.resolve(model)
    copy = Copy("some@alias", manifest, rows, said, 0)
    challengers.score(json.loads(copy.line()))
    measured = counted(tmp_path)[manifest.reference]
    assert (measured.requests, measured.errors, measured.refusals) == (2, 0, 0)
    assert (measured.hits, measured.misses) == ((0, 0) if model == "diabetes" else (2, 0))
    changes = counted(tmp_path, "change")
    assert {each.hits for each in changes.values()} == ({2} if model == "diabetes" else set())


def counted(folder: Path, kind: str = "shadow") -> dict[str | None, Any]:
    """What a meter counted, by model."""
    found = {}
    for (route, model), each in Meter(folder).read(0.0).series.items():
        part = spread.parts(route)
        if part is not None and part.kind == kind:
            found[model] = each.total
    return found


def test_numbers_are_told_by_their_changes(
    shared_app: APIFlask, challengers: Challengers, tmp_path: Path
) -> None:
    rows = load_diabetes().data[:4].tolist()
    client: Client = shared_app.test_client()
    said = client.post("/predict", json={"model": "diabetes", "instances": rows}).json
    numbers = [each["prediction"] for each in said["predictions"]]
    champion = [numbers[0], numbers[1] + 2, numbers[2] - 7, None]
    copy = {"alias": "diabetes@live", "name": "diabetes", "version": 1, "rows": rows, "predictions": champion}
    challengers.score(copy)
    [alias] = of_aliases(Meter(tmp_path).read(time.monotonic()).series)
    [shadow] = alias["shadows"]
    assert (shadow["rows"], shadow["errors"], shadow["agreed"], shadow["flipped"]) == (4, 0, 0, 0)
    assert shadow["total"]["changes"] == shadow["changes"]
    [change] = shadow["changes"]
    sizes = [each["change"] for each in change.pop("quantiles_absolute")]
    assert change == {
        "target": None,
        "rows": 3,
        "unchanged": 1,
        "mean": pytest.approx(5 / 3),
        "mean_absolute": pytest.approx(3),
    }
    assert sizes == [pytest.approx(2, rel=0.1), *[pytest.approx(7, rel=0.1)] * 3, pytest.approx(7)]


def test_what_a_challenger_refuses_or_fails_at_is_counted(challengers: Challengers, tmp_path: Path) -> None:
    copy = {"alias": "wine@live", "rows": [WINE[0], {**WINE[0], "more": 1}], "predictions": ["x", "barolo"]}
    challengers.score({**copy, "name": "wine", "version": 1})
    challengers.score({**copy, "name": "wine", "version": 99})
    found = counted(tmp_path)
    first, gone = found["wine@1"], found["wine@99"]
    assert (first.requests, first.refusals, first.errors, first.hits, first.misses) == (2, 1, 0, 0, 1)
    assert (gone.requests, gone.errors) == (2, 2)

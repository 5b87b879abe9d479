"""While a model is loaded, those wait who asked for predictions, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

from base.database import Database
from models.adding import NewVersion
from models.registry import Registry
from rowmill.stack.arriving import MAX_WAITED_BODY_BYTES
from tests.builders import AddedModel, users_module
from tests.e2e.bare_server import Server, answered, get, has_answer, request, serving
from tests.waiting import wait_until

GATED = Path(__file__).parents[1] / "gated_model.py"
ROW = {"a": 7.0, "b": 1.0}
WAITING = 20
# by threads of its own too, of which this server has one
ONE_THREAD = "tests.e2e.one_thread_settings"


@pytest.fixture
def server(tmp_path: Path, wine: AddedModel) -> Iterator[Server]:
    with serving(tmp_path, wine, ONE_THREAD) as server:
        yield server


def add_gated(folder: Path, gate: Path) -> None:
    """A version that no process has loaded yet."""
    pd.DataFrame([ROW] * 50).to_csv(folder / "gated.csv", index=False)
    with users_module(GATED) as module:
        joblib.dump(module.Gated(str(gate)), folder / "gated.joblib")
    database = Database(f"sqlite:///{folder / 'rowmill.db'}")
    registry = Registry(database, folder / "models")
    new = NewVersion("gated", folder / "gated.joblib", sample=folder / "gated.csv", code=GATED)
    registry.add(new)
    registry.set_alias("gated", 1, "production", "a test")
    database.dispose()


def posted(address: str, document: Any, padding: int = 0) -> bytes:
    body = json.dumps(document).encode() + b" " * padding
    headers = (f"Content-Length: {len(body)}", "Content-Type: application/json")
    return request("POST", address, *headers, body=body)


def predictions() -> list[bytes]:
    """Of all kinds; one too large for the main loop to wait for, one that only asks for the model."""
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": list(ROW.values())}
    each = [
        posted("/predict", {"model": "gated", "features": ROW}),
        posted("/predict?model=gated%40production", {"instances": [ROW] * 3}),
        posted("/predict", {"model": "gated", "instances": [ROW] * 3}, padding=MAX_WAITED_BODY_BYTES),
        posted("/invocations?model=gated", {"instances": [ROW]}),
        posted("/v2/models/gated/infer", {"inputs": [tensor]}),
        get("/v2/models/gated/ready"),
    ]
    return [each[number % len(each)] for number in range(WAITING)]


def test_predictions_that_wait_for_a_model_hold_up_predictions_only(
    server: Server, tmp_path: Path, wine: AddedModel
) -> None:
    gate = tmp_path / "gate"
    add_gated(tmp_path, gate)
    rows = wine.sample.read_bytes()
    status, _, body = server.ask(
        request("POST", "/jobs?model=wine", f"Content-Length: {len(rows)}", body=rows)
    )
    job = json.loads(body)
    assert status == 202
    gate.touch()
    with ExitStack() as open_sockets:
        waiting = [open_sockets.enter_context(server.connect()) for _ in range(WAITING)]
        try:
            for connection, asked in zip(waiting, predictions(), strict=True):
                connection.sendall(asked)
            wait_until(Path(f"{gate}.waits").exists, "the model is being loaded", 60)
            for address in ("/healthz", f"/jobs/{job['id']}", "/models/gated", f"/jobs/{job['id']}?wait=1"):
                assert server.ask(get(address))[0] == 200
            assert not any(map(has_answer, waiting)), "then this shows nothing"
        finally:
            gate.unlink()
        for connection in waiting:
            status, _, body = answered(connection)
            assert status == 200, body

"""A cancelled job stops: with nobody there to work on it, and in the middle of a long chunk."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from jobs import heartbeat, rows
from jobs.running import run_chunk
from jobs.scoring import Scorer
from tests.contract.conftest import Served
from tests.waiting import wait_until


def test_no_worker_is_needed(served: Served) -> None:
    job = served.submit()
    answer = served.post(f"/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "cancelled")
    assert served.post(f"/jobs/{job['id']}/cancel").json["finished_at"] == answer.json["finished_at"]
    assert served.plan(job) == 0


def test_a_long_chunk_stops_within_a_call_of_the_estimator(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = served.submit(chunk_rows=100)
    served.plan(job)
    calls = 0
    started, go_on = threading.Event(), threading.Event()
    real = rows.scorer_of

    def slow(model: Any, outputs: Any) -> Scorer:
        scorer = real(model, outputs)

        def predict(data: Any) -> pa.Table:
            nonlocal calls
            calls += 1
            started.set()
            assert go_on.wait(60)
            return scorer.predict(data)

        return replace(scorer, predict=predict, call_rows=10)

    monkeypatch.setattr(rows, "scorer_of", slow)
    monkeypatch.setattr(heartbeat, "CHECK_SECONDS", 0.0)
    worker = threading.Thread(target=run_chunk, args=(served.workshop, job["id"], 0))
    worker.start()
    assert started.wait(60)
    served.post(f"/jobs/{job['id']}/cancel")
    go_on.set()
    wait_until(lambda: not worker.is_alive(), "the attempt is given up")
    assert calls == 1  # of ten
    ended = served.job(job)
    assert (ended["status"], ended["rows"]["done"]) == ("cancelled", 0)
    assert not list(served.workshop.files.path("jobs").rglob("*.parquet"))

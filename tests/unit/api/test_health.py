"""Liveness and readiness, on real connections that are there or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.caretaker import Caretaker
from jobs.lifecycle.presence import seen
from jobs.workshop import Workshop
from tests.conftest import Clock
from tests.unit.api.conftest import Client, MakeApp


def failed(answer: Any) -> set[str]:
    """Names of the checks that did not pass; each says why."""
    checks = answer.json["checks"]
    assert all(check["detail"] for check in checks.values() if not check["ok"])
    return {name for name, check in checks.items() if not check["ok"]}


@pytest.fixture
def on_workshop(make_app: MakeApp, workshop: Workshop) -> Client:
    """A client of an app on the connections, and the clock, of the test."""
    app = make_app(workshop.settings.data_dir)
    app.extensions["workshop"].close()
    app.extensions["workshop"] = workshop
    return app.test_client()


@pytest.mark.parametrize("path", ["/healthz", "/health"])
def test_a_process_that_answers_is_alive(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert set(answer.json) == {"status", "model_loaded", "version", "timestamp"}
    assert (answer.json["status"], answer.json["model_loaded"]) == ("ok", True)
    said = datetime.fromisoformat(answer.json["timestamp"])
    assert datetime.now(UTC) - said < timedelta(minutes=1)
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_database_it_is_alive_and_not_ready(make_app: MakeApp, tmp_path: Path) -> None:
    away = f"sqlite:///{tmp_path / 'nowhere' / 'rowmill.db'}"
    client: Client = make_app(tmp_path, database_url=away).test_client()
    assert client.get("/healthz").json["model_loaded"] is False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert answer.content_type == "application/problem+json"
    assert failed(answer) == {"database"}
    assert {error["code"] for error in answer.json["errors"]} == {"database"}
    assert failed(client.get("/readyz?for=jobs")) == {"database", "redis", "workers", "caretaker"}


def test_a_database_without_tables_is_not_ready(make_app: MakeApp, tmp_path: Path) -> None:
    assert failed(make_app(tmp_path).test_client().get("/readyz")) == {"database"}


def test_a_folder_that_cannot_be_written_is_not_ready(on_workshop: Client, workshop: Workshop) -> None:
    assert on_workshop.get("/readyz").json["status"] == "ready"
    workshop.files.staging.rmdir()
    workshop.files.staging.write_text("a file in the way of the folder")
    assert failed(on_workshop.get("/readyz")) == {"data_folder"}


def test_ready_for_jobs_needs_redis_a_worker_and_the_caretaker(
    on_workshop: Client, workshop: Workshop, clock: Clock
) -> None:
    assert failed(on_workshop.get("/readyz?for=jobs")) == {"workers", "caretaker"}
    Caretaker(workshop).tick()
    seen(workshop.database, "a worker")
    ready = on_workshop.get("/readyz?for=jobs")
    assert (ready.status_code, failed(ready)) == (200, set())
    clock.advance(2 * workshop.settings.caretaker_seconds)
    assert on_workshop.get("/readyz?for=jobs").status_code == 200
    clock.advance(2 * workshop.settings.caretaker_seconds)
    assert failed(on_workshop.get("/readyz?for=jobs")) == {"caretaker"}
    clock.advance(3 * workshop.settings.heartbeat_seconds)
    assert failed(on_workshop.get("/readyz?for=jobs")) == {"caretaker", "workers"}
    assert on_workshop.get("/readyz").status_code == 200


def test_a_redis_that_is_gone_and_a_full_disk(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, min_free_bytes=10**18).test_client()
    answer = client.get("/readyz?for=jobs")
    assert failed(answer) == {"redis", "workers", "caretaker", "disk"}
    assert "disk: disk_low: " in answer.json["detail"]
    assert client.get("/readyz").status_code == 200


def test_ready_for_what_there_is_not(client: Client) -> None:
    answer = client.get("/readyz?for=lunch")
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")

"""The short calls of the client, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowmill import Client
from rowmill.client import ApiError
from tests.unit.rowmill.talking_server import (
    Answer,
    TalkingServer,
    as_json,
    problem,
    resource,
    talking_server,
)


@pytest.fixture
def server() -> Iterator[TalkingServer]:
    with talking_server() as server:
        yield server


@pytest.fixture
def client(server: TalkingServer) -> Iterator[Client]:
    with Client(server.url + "/", api_key="secret") as client:
        yield client


def test_jobs_are_read_page_by_page(client: Client, server: TalkingServer) -> None:
    server.on(
        "GET",
        "/jobs",
        as_json({"jobs": [resource(job_id="j3"), resource(job_id="j2")], "next_cursor": "c1"}),
        as_json({"jobs": [resource(job_id="j1")], "next_cursor": None}),
    )
    assert [job["id"] for job in client.jobs(status="failed", tag="nightly")] == ["j3", "j2", "j1"]
    asked = {"status": "failed", "tag": "nightly"}
    assert [request.query for request in server.seen] == [asked, {**asked, "cursor": "c1"}]


def test_the_key_goes_with_each_request(client: Client, server: TalkingServer) -> None:
    server.on("GET", "/models", as_json({"models": [{"name": "wine"}]}))
    assert client.models() == [{"name": "wine"}]
    assert server.seen[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ({"alcohol": 13.2}, "features"),
        ([13.2, 1.8], "features"),
        ([{"alcohol": 13.2}, {"alcohol": 12.1}], "instances"),
        ([[13.2], [12.1]], "instances"),
    ],
)
def test_one_record_and_several_are_told_apart(
    client: Client, server: TalkingServer, rows: Any, field: str
) -> None:
    server.on("POST", "/predict", as_json({"prediction": 1}))
    assert client.predict(rows, "wine") == {"prediction": 1}
    assert json.loads(server.seen[0].body) == {"model": "wine", field: rows}


def test_a_key_stands_beside_its_row(client: Client, server: TalkingServer) -> None:
    server.on("POST", "/predict", as_json({"prediction": 1}))
    client.predict([13.2], "wine", key="a")
    client.predict([[13.2], [12.1]], key=["a", "b"])
    client.predict(b"image", key="c")
    one, several, image = server.seen
    assert json.loads(one.body) == {"model": "wine", "key": "a", "features": [13.2]}
    assert json.loads(several.body) == {"keys": ["a", "b"], "instances": [[13.2], [12.1]]}
    assert image.query == {"key": "c"}


def test_labels_are_entries_or_a_file(client: Client, server: TalkingServer, tmp_path: Path) -> None:
    server.on("POST", "/feedback", as_json({"labels": {"sent": 1}}))
    entries = [{"key": "a", "label": True}]
    assert client.feedback(entries, model="wine") == {"labels": {"sent": 1}}
    (tmp_path / "labels.csv").write_text("id,label\n1,2\n")
    client.feedback(tmp_path / "labels.csv", job="j1", key="id")
    by_entry, by_file = server.seen
    assert (by_entry.query, json.loads(by_entry.body)) == ({"model": "wine"}, {"labels": entries})
    assert (by_file.query, by_file.body) == ({"job": "j1", "key": "id"}, b"id,label\n1,2\n")


def test_accuracy_is_asked_of_one_version(client: Client, server: TalkingServer) -> None:
    server.on("GET", "/models/wine/accuracy", as_json({"versions": []}))
    assert client.accuracy("wine", version=3, window="7d") == {"versions": []}
    assert server.seen[0].query == {"version": "3", "window": "7d"}


def test_row_errors_are_read_one_by_one(client: Client, server: TalkingServer) -> None:
    bad = [
        {"row": 4, "line": 6, "column": "age", "value": "é", "code": "not_a_number", "message": "…"},
        {"row": 9},
    ]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in bad)
    server.on("GET", "/jobs/j1/errors.jsonl", Answer(200, lines.encode()))
    assert list(client.job("j1").errors()) == bad


def test_cancel_and_delete(client: Client, server: TalkingServer) -> None:
    server.on("POST", "/jobs/j1/cancel", as_json(resource("cancelled"), 202))
    server.on("DELETE", "/jobs/j1", Answer(204))
    assert client.job("j1").cancel()["status"] == "cancelled"
    client.job("j1").delete()
    assert [request.method for request in server.seen] == ["POST", "DELETE"]


def test_an_id_cannot_wander_to_another_path(client: Client, server: TalkingServer) -> None:
    with pytest.raises(ApiError, match="nothing is written down"):
        client.job("../models").status()
    assert server.seen[0].path == "/jobs/..%2Fmodels"


def test_a_passing_refusal_is_waited_out(client: Client, server: TalkingServer) -> None:
    server.on("GET", "/jobs/j1", problem(429, "slow_down", "slow down", Retry_After="0"), as_json(resource()))
    assert client.job("j1").status()["id"] == "j1"


def test_importing_the_client_loads_neither_server_nor_pandas() -> None:
    program = "import sys, rowmill; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert "rowmill.client" in loaded
    assert not loaded & {
        "api",
        "base",
        "jobs",
        "models",
        "workers",
        "flask",
        "celery",
        "sklearn",
        "pandas",
        "pyarrow",
    }

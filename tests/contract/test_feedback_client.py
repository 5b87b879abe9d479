"""Labels by the command line and the client, over real HTTP."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result
from werkzeug.serving import make_server

from jobs.feedback.alarms import claim_due, settle
from jobs.feedback.falling import note_falls
from jobs.feedback.log import PredictionLog
from rowmill import Client
from rowmill.cli import app
from tests.conftest import Clock
from tests.contract.conftest import Served
from tests.parquet_bombs import growing_page

ROWS = 100


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind will do: the other side of HTTP does not know which there is."""
    return sqlite_url


@pytest.fixture
def url(served: Served, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an app that logs predictions; the working folder is empty, and the settings name it."""
    log = PredictionLog(served.workshop.database, clock)
    served.client.application.extensions["prediction_log"] = log
    server = make_server("127.0.0.1", 0, served.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("ROWMILL_URL", f"http://127.0.0.1:{server.server_port}")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    log.close()


@pytest.fixture
def job(served: Served) -> Any:
    return served.work(served.submit(ROWS, keep="id"))


@pytest.fixture
def labels(served: Served, job: Any) -> pd.DataFrame:
    """True labels by id, of which one differs from the prediction."""
    result = pd.read_parquet(io.BytesIO(served.result(job)))
    first, *others = result["prediction"].tolist()
    return pd.DataFrame({"id": result["id"], "cultivar": [(first + 1) % 3, *others]})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_command_line_sends_labels_of_a_job(url: str, job: Any, labels: pd.DataFrame) -> None:
    strange = labels[:1].astype({"id": object})
    strange.loc[0, "id"] = "nobody"
    pd.concat([labels.sample(frac=1, random_state=1), strange]).to_csv("labels.csv", index=False)
    send = ("feedback", "labels.csv", "--job", job["id"], "--key", "id", "--label", "cultivar")
    told = run(*send)
    assert told.exit_code == 0, told.output
    assert told.stderr == "100 of 101 labels joined · 1 unknown (nobody)\n"
    assert told.stdout == "accuracy 0.99 · 100 of 100 rows labelled\n"
    assert run(*send, "--strict").exit_code == 3
    assert json.loads(run(*send, "--json").stdout)["labels"]["unknown"] == 1
    refused = run(*send[:-1], "colour")
    assert refused.exit_code == 1
    assert "missing_column" in refused.stderr
    assert run("feedback", "nothing.csv").exit_code == 2


def test_the_command_line_shows_accuracy_over_time(url: str, job: Any, labels: pd.DataFrame) -> None:
    assert "no predictions of wine" in run("accuracy", "wine").stderr
    labels.to_csv("labels.csv", index=False)
    assert run("feedback", "labels.csv", "--job", job["id"], "--label", "cultivar").exit_code == 0
    table = [line.split() for line in run("accuracy", "wine@1", "--window", "2h").stdout.splitlines()]
    assert table[0] == ["VERSION", "FROM", "PREDICTIONS", "LABELLED", "ACCURACY"]
    assert table[1] == ["wine@1", "all", "100", "100", "0.99"]
    assert len(table) == 3
    assert json.loads(run("accuracy", "wine", "--json").stdout)["versions"][0]["accuracy"] == 0.99
    assert run("accuracy", "vine").exit_code == 1
    assert run("accuracy", "wine@production").exit_code == 2


def test_the_command_line_tells_of_a_version_that_fell(
    url: str, served: Served, job: Any, labels: pd.DataFrame
) -> None:
    labels.assign(cultivar=(labels["cultivar"] + 1) % 3).to_csv("labels.csv", index=False)
    assert run("feedback", "labels.csv", "--job", job["id"], "--label", "cultivar").exit_code == 0
    database = served.workshop.database
    note_falls(database, served.workshop.settings.model_copy(update={"accuracy_below": 0.8}))
    assert "not told yet, due at 2" in run("accuracy", "wine").stderr
    [alarm] = claim_due(database, "test", 60)
    settle(database, alarm, "exit status 1: no data")
    told = run("accuracy", "wine").stderr
    assert "wine@1 fell below 0.8 at 2" in told
    assert ": accuracy 0 of 100; call 1 failed (exit status 1: no data), due at 2" in told
    settle(database, alarm)
    assert "; told at 2" in run("accuracy", "wine").stderr


def test_the_client_sends_labels_of_jobs_and_of_predictions(
    url: str, served: Served, job: Any, labels: pd.DataFrame
) -> None:
    with Client(url) as client:
        made = client.predict(served.rows.iloc[0].tolist(), "wine", key="bottle-1")
        sent: list[dict[str, Any]] = [{"prediction_id": made["prediction_id"], "label": made["prediction"]}]
        assert client.feedback(sent)["labels"]["joined"] == 1
        by_key = client.feedback([{"key": "bottle-1", "label": made["prediction"]}], model="wine")
        assert by_key["labels"]["joined"] == 1
        told = client.feedback(labels, job=job["id"], key="id", label="cultivar")
        assert told["job"]["accuracy"] == pytest.approx(0.99)
        [version] = client.accuracy("wine", window="2h")["versions"]
        assert version["accuracy"] == pytest.approx(100 / 101)


def test_a_file_that_grows_beyond_all_bounds_is_refused(url: str, served: Served, job: Any) -> None:
    bomb = growing_page(["label"])
    answer = served.client.post(f"/feedback?job={job['id']}", data=bomb)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert len(bomb) < 8 << 20

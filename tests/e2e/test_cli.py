"""The command line and the client on a real stack: real Redis, gunicorn, Celery workers and caretaker."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from rowmill import Client
from rowmill.cli import app
from rowmill.client import ApiError
from rowmill.stack import Stack
from tests.e2e.conftest import Example

ROWS = 5000


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


@pytest.fixture(scope="session")
def wine(examples: dict[str, Example]) -> pd.DataFrame:
    """The bundled wine data, resampled to a few chunks."""
    return examples["wine"].rows.sample(ROWS, replace=True, random_state=7, ignore_index=True)


@pytest.fixture(scope="session")
def estimator(examples: dict[str, Example]) -> Any:
    return examples["wine"].estimator


@pytest.fixture
def folder(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wine: pd.DataFrame) -> Path:
    """A working folder with data; the settings point to the stack."""
    monkeypatch.setenv("ROWMILL_URL", stack.url)
    monkeypatch.chdir(tmp_path)
    wine.to_csv("data.csv", index=False)
    bad = wine.head(100).astype({"hue": object})
    bad.loc[41, "hue"] = "oops"
    bad.to_csv("bad.csv", index=False)
    return tmp_path


def test_score_equals_the_estimators_own_answer(folder: Path, wine: pd.DataFrame, estimator: Any) -> None:
    ended = run(
        "score", "data.csv", "-m", "wine", "--keep", "hue", "--chunk-rows", "1000", "-o", "out.parquet"
    )
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == ""
    assert "5,000 of 5,000 rows" in ended.stderr
    result = pd.read_parquet("out.parquet")
    assert result["prediction"].tolist() == estimator.predict(wine).tolist()
    assert result["hue"].astype(float).tolist() == wine["hue"].tolist()
    assert {path.name for path in folder.iterdir()} == {"data.csv", "bad.csv", "out.parquet"}


def test_a_pipe_in_and_a_pipe_out(folder: Path, wine: pd.DataFrame, estimator: Any) -> None:
    ended = run(
        "score",
        "-",
        "-m",
        "wine",
        "-o",
        "-",
        "--format",
        "csv",
        stdin=gzip.compress(Path("data.csv").read_bytes()),
    )
    assert ended.exit_code == 0, ended.stderr
    assert pd.read_csv(io.StringIO(ended.stdout))["prediction"].tolist() == estimator.predict(wine).tolist()


def test_bad_rows_are_exit_3_if_asked_and_can_be_listed(folder: Path) -> None:
    ended = run("score", "bad.csv", "-m", "wine", "--strict", "--json")
    assert ended.exit_code == 3, ended.output
    job = json.loads(ended.stdout)
    assert (job["rows"]["done"], job["rows"]["failed"]) == (100, 1)
    shown = run("errors", job["id"])
    assert shown.stdout.startswith("row 41 (line 43), hue='oops': ")
    [bad] = [json.loads(line) for line in run("errors", job["id"], "--json").stdout.splitlines()]
    assert (bad["row"], bad["line"], bad["column"], bad["value"]) == (41, 43, "hue", "oops")
    assert len(run("errors", job["id"], "--csv").stdout.splitlines()) == 2
    assert pd.read_parquet("bad.scored.parquet")["prediction"].isna().sum() == 1


def test_a_job_that_may_not_have_bad_rows_fails(folder: Path) -> None:
    ended = run("score", "bad.csv", "-m", "wine", "--on-error", "fail")
    assert ended.exit_code == 1
    assert "failed: " in ended.stderr
    assert not Path("bad.scored.parquet").exists()


def test_submit_wait_status_get_ps(folder: Path) -> None:
    job_id = run("submit", "data.csv", "-m", "wine", "--name", "nightly", "--tag", "cli").stdout.strip()
    assert run("wait", job_id, "--timeout", "60s").exit_code == 0
    assert "status    succeeded" in run("status", job_id).stdout
    assert run("get", job_id).exit_code == 0
    assert Path("data.scored.parquet").exists()
    assert run("get", job_id, "-o", "out.jsonl").exit_code == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == ROWS
    assert run("get", job_id, "-o", "one.parquet").exit_code == 0
    assert run("get", job_id, "-o", "two.parquet").exit_code == 0
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()
    [listed] = [json.loads(line) for line in run("ps", "--tag", "cli", "--json").stdout.splitlines()]
    assert (listed["id"], listed["name"]) == (job_id, "nightly")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "data.csv", "-m", "whine"], "wine"),
        (["score", "data.csv", "-m", "wine", "--keep", "Hue"], "hue"),
        (["score", "data.csv", "-m", "wine", "--max-row-errors", "many"], "'many'"),
        (["get", "no-such-job", "-o", "out.parquet"], "no-such-job"),
    ],
)
def test_a_refusal_is_one_clear_line_and_exit_1(folder: Path, arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("rowmill: ")
    assert says in ended.stderr
    assert "Traceback" not in ended.output


def test_a_missing_column_is_named_with_its_neighbour(folder: Path, wine: pd.DataFrame) -> None:
    wine.head(10).rename(columns={"hue": "Hue"}).to_csv("renamed.csv", index=False)
    ended = run("submit", "renamed.csv", "-m", "wine")
    assert ended.exit_code == 1
    assert "hue" in ended.stderr
    assert "Hue" in ended.stderr


def test_a_long_upload_that_is_refused_says_why(folder: Path) -> None:
    with Path("long.csv").open("wb") as file:
        file.truncate(200 << 20)
    ended = run("submit", "long.csv", "-m", "whine")
    assert (ended.exit_code, "whine" in ended.stderr) == (1, True)


def test_cancel_ends_a_job_once(folder: Path) -> None:
    job_id = run("submit", "data.csv", "-m", "wine", "--chunk-rows", "1").stdout.strip()
    assert run("cancel", job_id).exit_code == 0
    ended = run("watch", job_id)
    assert ended.exit_code == 1
    assert "cancelled" in ended.stderr


def test_a_frame_is_scored_under_its_own_index(stack: Stack, wine: pd.DataFrame, estimator: Any) -> None:
    frame = wine.head(50).set_index(pd.Index([f"r{number}" for number in range(50)]))
    with Client(stack.url) as client:
        result = client.score(frame, model="wine", outputs="confidence")
    assert result.index.equals(frame.index)
    assert result["prediction"].tolist() == estimator.predict(frame).tolist()
    assert result["confidence"].tolist() == pytest.approx(
        estimator.predict_proba(frame).max(axis=1), abs=1e-12
    )


def test_the_client_predicts_lists_and_deletes(stack: Stack, wine: pd.DataFrame, estimator: Any) -> None:
    record: dict[Any, Any] = wine.head(1).to_dict("records")[0]
    with Client(stack.url) as client:
        assert client.predict(record, "wine")["prediction"] == estimator.predict(wine.head(1))[0]
        assert len(client.predict([record, record], "wine")["predictions"]) == 2
        assert "wine" in {model["name"] for model in client.models()}
        job = client.submit(wine.head(10), "wine")
        job.wait(timeout=60)
        assert job.id in {listed["id"] for listed in client.jobs(model="wine")}
        job.delete()
        with pytest.raises(ApiError) as gone:
            job.status()
    assert gone.value.status in {404, 410}


def test_a_job_with_thousands_of_bad_rows_streams_them_in_order(
    folder: Path, wine: pd.DataFrame, stack: Stack
) -> None:
    bad = wine.astype({"hue": object})
    bad.loc[1:, "hue"] = "x"
    bad.to_csv("nearly_all_bad.csv", index=False)
    with Client(stack.url) as client:
        job = client.submit("nearly_all_bad.csv", "wine", chunk_rows=700)
        job.wait(timeout=60)
        assert [error["row"] for error in job.errors()] == list(range(1, ROWS))

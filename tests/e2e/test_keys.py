"""A server that asks for keys, as its users meet it: client, command line, DuckDB, curl."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import duckdb
import duckdb_extension_httpfs
import httpx
import pandas as pd
import pytest
from typer.testing import CliRunner

from base.access import keys
from base.access.callers import Role
from base.database import Database
from base.settings import Settings
from jobs import reading
from jobs.finishing import finish_job
from jobs.planning import plan_job
from jobs.running import run_chunk
from jobs.workshop import Workshop
from models.adding import NewVersion
from rowmill.cli import app
from rowmill.client import ApiError, Client, Job
from rowmill.stack import Stack
from tests.builders import trained_wine

ROWS = 1000
ADMIN_KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that asks for keys; its jobs are worked on by the tests."""
    folder = tmp_path_factory.mktemp("guarded")
    settings = Settings(
        data_dir=folder / "data", port=0, flower_port=0, require_keys=True, admin_key=ADMIN_KEY
    )
    with Stack(settings, only={"redis", "api"}) as running:
        workshop = Workshop.open(running.settings, worker="test")
        model, sample = trained_wine(folder)
        workshop.registry.add(NewVersion("wine", model, sample=sample))
        workshop.close()
        yield running


@pytest.fixture(scope="module")
def text(guarded: Stack) -> str:
    """A key of alice's."""
    database = Database(guarded.settings.database_url)
    _, text = keys.add(database, "alice", Role.SUBMIT)
    database.dispose()
    return text


@pytest.fixture(scope="module")
def job(guarded: Stack, text: str, rows: pd.DataFrame) -> Iterator[Job]:
    """A job of alice's that has succeeded."""
    with Client(guarded.url, api_key=text) as client:
        submitted = client.submit(rows, model="wine")
        work(guarded, submitted)
        yield submitted


def work(guarded: Stack, submitted: Job) -> None:
    workshop = Workshop.open(guarded.settings, worker="test")
    plan_job(workshop, submitted.id)
    for chunk in reading.list_chunks(workshop.database, submitted.id):
        run_chunk(workshop, submitted.id, chunk.index)
    finish_job(workshop, submitted.id)
    workshop.close()


@pytest.fixture(scope="module")
def rows(guarded: Stack) -> pd.DataFrame:
    sample = pd.read_csv(guarded.settings.data_dir.parent / "wine.csv")
    return sample.sample(ROWS, replace=True, random_state=1).reset_index(drop=True)


def test_the_client_shows_its_key(guarded: Stack, job: Job) -> None:
    assert job.status()["owner"] == "alice"
    assert len(job.result()) == ROWS
    with Client(guarded.url) as stranger, pytest.raises(ApiError) as refused:
        stranger.job(job.id).status()
    assert (refused.value.status, refused.value.code) == (401, "key_required")


def test_the_command_line_takes_its_key_from_the_settings(
    guarded: Stack, job: Job, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROWMILL_URL", guarded.url)
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, ["ps"])
    assert (refused.exit_code, "key_required" in refused.stderr) == (1, True)
    (tmp_path / ".env").write_text(f"ROWMILL_API_KEY={text}\n")
    assert job.id in CliRunner().invoke(app, ["ps"]).stdout
    link = CliRunner().invoke(app, ["link", job.id, "--for", "10m", "--format", "csv"]).stdout.strip()
    assert len(pd.read_csv(link)) == ROWS
    for said in (CliRunner().invoke(app, ["config"]).output, CliRunner().invoke(app, ["--help"]).output):
        assert text.rpartition("_")[2] not in said


def test_duckdb_and_pandas_read_a_link(job: Job) -> None:
    url = job.link(lasts=600)
    connection = duckdb.connect()
    extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
    connection.execute(f"LOAD '{extension}'")
    query = "SELECT count(*), count(DISTINCT prediction) FROM read_parquet(?)"
    found = connection.execute(query, [url]).fetchone()
    assert found == (ROWS, 3)
    assert len(pd.read_parquet(url)) == ROWS
    part = httpx.get(url, headers={"Range": "bytes=-4"})
    assert (part.status_code, part.content) == (206, b"PAR1")


@pytest.mark.parametrize("path", ["/jobs?model=wine", "/predict"])
def test_a_large_body_without_a_key_gets_its_answer(guarded: Stack, path: str) -> None:
    body = io.BytesIO(b"a,b\n" * (8 << 20))
    answer = httpx.post(guarded.url + path, content=body, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_required")


def test_no_secret_is_in_a_log(guarded: Stack, job: Job, text: str) -> None:
    token = job.link().partition("link=")[2]
    httpx.get(f"{guarded.url}/jobs", headers={"Authorization": f"Bearer {text[:-1]}"})
    said = "".join(path.read_text() for path in (guarded.settings.data_dir / "logs").glob("*.log"))
    said += (guarded.settings.data_dir / "run" / "stack.json").read_text()
    assert not [secret for secret in (text, text[:-1], ADMIN_KEY, token) if secret in said]

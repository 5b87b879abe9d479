"""Everything killed at half, and started again: nothing is scored twice but what was under way."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from base.database import Database
from base.database.tables import attempts
from base.settings import Settings
from models.registry import Registry
from rowmill.stack.record import load_record
from tests.builders import add_slow, slow_rows
from tests.e2e.serving import look, result, rowmill_up, submit, wait
from tests.waiting import wait_until

CHUNKS = 30
CHUNK_SECONDS = 0.2
WORKERS = 2


def url_of(folder: Path) -> str:
    record = load_record(folder / "run" / "stack.json")
    assert record
    return record.url


@pytest.mark.timeout(400)
def test_a_job_that_is_killed_at_half_repeats_a_chunk_for_each_worker_at_most(tmp_path: Path) -> None:
    database = Database(Settings(data_dir=tmp_path / "data").database_url)
    (tmp_path / "data").mkdir()
    database.upgrade()
    add_slow(Registry(database, tmp_path / "data" / "models"), tmp_path)
    body = slow_rows(CHUNKS, CHUNK_SECONDS)

    with rowmill_up(tmp_path / "data", workers=WORKERS) as launcher:
        url = url_of(tmp_path / "data")
        job_id = submit(url, body, model="slow", chunk_rows=1).json()["id"]

        def done() -> int:
            return int(look(url, job_id)["chunks"]["done"])

        wait_until(lambda: done() >= CHUNKS // 2, "half of it is done", 120)
        launcher.kill()  # and all that it started with it
        launcher.wait()
    before = count_tries(database, job_id)
    assert CHUNKS // 2 <= before < CHUNKS
    with rowmill_up(tmp_path / "data", workers=WORKERS):
        url = url_of(tmp_path / "data")
        job = wait(url, job_id, 120)
        assert job["status"] == "succeeded", job["error"]
        assert result(url, job).column("prediction").to_pylist() == list(range(CHUNKS))
    assert count_tries(database, job_id) - CHUNKS <= WORKERS
    database.dispose()


def count_tries(database: Database, job_id: str) -> int:
    """Attempts at any of the job's chunks so far."""
    with database.reading() as connection:
        query = select(func.count()).where(attempts.c.job_id == job_id)
        return int(connection.execute(query).scalar_one())

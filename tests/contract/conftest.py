"""The API and the work behind it in one process, on the test's clock: what users do, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from api import create_app
from base.database.tables import EVERYBODY
from jobs import reading
from jobs.feedback.log import PredictionLog
from jobs.finishing import finish_job
from jobs.lifecycle import chunks
from jobs.planning import plan_job
from jobs.running import run_chunk
from jobs.workshop import Workshop
from tests.builders import OWNER, AddedModel, claim_chunk
from tests.conftest import Clock


@dataclass(frozen=True)
class Served:
    """A client of an app that has the model ``wine``; nothing is scored unless a test says so."""

    client: Any
    workshop: Workshop
    rows: pd.DataFrame  # inputs that the model can score

    def submit(self, rows: int = 100, chunk_rows: int = 25, **options: object) -> dict[str, Any]:
        """Send the first rows as CSV, and return the job."""
        query = {"model": "wine", "chunk_rows": chunk_rows, **options}
        answer = self.client.post("/jobs", query_string=query, data=self.csv(rows))
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json
        return job

    def csv(self, rows: int = 100) -> bytes:
        """The first rows, and their number as ``id``."""
        return self.rows[:rows].rename_axis("id").to_csv().encode()

    def get(self, address: str, **headers: str) -> Any:
        """The answer, read to its end."""
        answer = self.client.get(address, headers=headers, buffered=True)
        answer.close()
        return answer

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job as it stands now."""
        found: dict[str, Any] = self.get(f"/jobs/{job['id']}").json
        return found

    def plan(self, job: dict[str, Any]) -> int:
        """Cut the job into chunks, and return how many they are."""
        plan_job(self.workshop, job["id"])
        return len(reading.list_chunks(self.workshop.database, job["id"]))

    def score(self, job: dict[str, Any], *indexes: int) -> None:
        """Score these chunks."""
        for index in indexes:
            run_chunk(self.workshop, job["id"], index)

    def fail(self, job: dict[str, Any], index: int) -> None:
        """Let the job fail at this chunk."""
        database = self.workshop.database
        claim = claim_chunk(database, reading.find_job(database, OWNER, job["id"]), index)
        assert claim
        chunks.release(database, claim, {"code": "unreadable_bytes", "message": "broken"}, retry_at=None)

    def post(self, address: str, **headers: str) -> Any:
        """The answer to a request without a body."""
        return self.client.post(address, headers=headers)

    def result(self, job: dict[str, Any]) -> bytes:
        """The Parquet file of a job that succeeded."""
        content: bytes = self.get(job["links"]["result"]).data
        return content

    def work(self, job: dict[str, Any]) -> dict[str, Any]:
        """Do all that is left of the job."""
        self.complete(job)
        return self.job(job)

    def complete(self, job: dict[str, Any]) -> None:
        """The same for anybody's job; nothing is asked of the API."""
        if reading.find_job(self.workshop.database, EVERYBODY, job["id"]).status == "queued":
            self.plan(job)
        self.score(job, *range(len(reading.list_chunks(self.workshop.database, job["id"]))))
        finish_job(self.workshop, job["id"])


@pytest.fixture
def served(workshop: Workshop, wine: AddedModel, monkeypatch: pytest.MonkeyPatch) -> Served:
    wine.put_into(workshop.database, workshop.registry)
    for name in ("data_dir", "redis_url", "database_url"):
        monkeypatch.setenv(f"ROWMILL_{name.upper()}", str(getattr(workshop.settings, name)))
    app = create_app()
    app.extensions["workshop"].close()
    app.extensions["workshop"] = workshop
    return Served(app.test_client(), workshop, pd.read_csv(wine.sample))


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever app is made after this asks for keys."""
    monkeypatch.setenv("ROWMILL_REQUIRE_KEYS", "1")


@pytest.fixture
def guarded(asking: None, served: Served) -> Served:
    """An app that asks for keys, with the model ``wine``."""
    return served


@pytest.fixture
def noting(served: Served, clock: Clock) -> Served:
    """An app that logs predictions."""
    log = PredictionLog(served.workshop.database, clock)
    served.client.application.extensions["prediction_log"] = log
    return served


@pytest.fixture
def scored(served: Served) -> dict[str, Any]:
    """A job of a hundred rows that succeeded and kept ``id``."""
    return served.work(served.submit(100, keep="id"))

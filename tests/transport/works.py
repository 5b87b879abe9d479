"""API and caretaker of a stack, whose Redis and workers are the test's own, to be hurt at will."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier

from base.database import Database
from base.settings import Settings
from models.adding import NewVersion
from models.registry import Registry
from rowmill.stack import Stack
from rowmill.stack.programs import child_environment, make_program
from tests.e2e.serving import result, submit, wait
from tests.transport.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
GATED = ROOT / "tests" / "transport" / "gated.py"
JOB_SECONDS = 90
THREADS = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}


class Works:
    """Serves ``gated`` (the sum of two columns), ``boosting`` and ``clusters``. :meth:`close` ends all."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder / "redis")
        settings = Settings(
            data_dir=folder / "data",
            redis_url=self.redis.url,
            port=0,
            flower_port=0,
            lease_seconds=3,
            heartbeat_seconds=0.5,
            caretaker_seconds=0.3,
            retry_seconds=0.1,
        )
        self.stack = Stack(settings, only={"api", "caretaker"})
        self.stack.start()
        self.settings = self.stack.settings
        self.workers: list[subprocess.Popen[bytes]] = []
        self._add_models(folder)

    def start_worker(
        self, module: str = "celery", redis_url: str = "", fixed_threads: bool = True
    ) -> subprocess.Popen[bytes]:
        """Start a worker as the stack does, by another Redis URL or without fixing the number of threads."""
        environment = child_environment(self.settings, "works") | {"PYTHONPATH": str(ROOT)}
        if redis_url:
            environment["ROWMILL_REDIS_URL"] = redis_url
        if not fixed_threads:
            environment = {name: value for name, value in environment.items() if name not in THREADS}
        program = make_program("worker", self.settings, environment, api_socket=0)
        command = [module if word == "celery" else word for word in program.arguments]
        with program.log.open("ab") as log:
            worker = subprocess.Popen(
                command, env=environment, cwd=program.folder, stdout=log, stderr=log, start_new_session=True
            )
        self.workers.append(worker)
        return worker

    def end_workers(self) -> None:
        """kill -9 for all of them."""
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        self.workers.clear()

    def submit(self, rows: pd.DataFrame, chunk_rows: int, model: str = "gated") -> str:
        """Send a job on these rows, numbered by ``id``."""
        numbered = rows.assign(id=np.arange(len(rows))).to_csv(index=False).encode()
        answer = submit(self.stack.url, numbered, model=model, keep="id", chunk_rows=chunk_rows)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        job: dict[str, Any] = httpx.get(f"{self.stack.url}/jobs/{job_id}", timeout=30).json()
        return job

    def predictions(self, job_id: str, rows: pd.DataFrame) -> list[Any]:
        """What the job answers once it has ended, each of the rows once and in order."""
        job = wait(self.stack.url, job_id, JOB_SECONDS)
        assert job["status"] == "succeeded", job["error"]
        scored = result(self.stack.url, job)
        assert scored["id"].to_pylist() == [str(number) for number in range(len(rows))]
        predictions: list[Any] = scored["prediction"].to_pylist()
        return predictions

    def check_sums(self, job_id: str, rows: pd.DataFrame) -> None:
        """The right answers of the model ``gated``."""
        assert self.predictions(job_id, rows) == (rows.a + rows.b).tolist()

    def close(self) -> None:
        """End everything."""
        self.end_workers()
        self.stack.stop()
        self.redis.close()

    def _add_models(self, folder: Path) -> None:
        rows = numbers(200)
        rows.to_csv(folder / "rows.csv", index=False)
        self.estimators = {
            "boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(rows, rows.a > 50),
            "clusters": KMeans(4, random_state=0, n_init=1).fit(rows),
        }
        for name, estimator in self.estimators.items():
            joblib.dump(estimator, folder / f"{name}.joblib")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(GATED.parent)
            joblib.dump(importlib.import_module(GATED.stem).Gated(), folder / "gated.joblib")
            del sys.modules[GATED.stem]
        database = Database(self.settings.database_url)
        registry = Registry(database, self.settings.data_dir / "models")
        sample = folder / "rows.csv"
        registry.add(NewVersion("gated", folder / "gated.joblib", sample=sample, code=GATED))
        for name in self.estimators:
            registry.add(NewVersion(name, folder / f"{name}.joblib", sample=sample))
        database.dispose()


def numbers(count: int) -> pd.DataFrame:
    """Rows that every model of the works can score."""
    return pd.DataFrame({"a": np.arange(count) % 97 + 1.0, "b": np.arange(count) % 11 + 0.5})

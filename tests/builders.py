"""Small complete things that tests start from."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sqlalchemy import insert
from uuid6 import uuid7

from base.database import Database
from base.database.tables import versions
from base.formats import CsvOptions, InputColumn, InputShape, Span, sniff
from jobs.lifecycle import chunks, steps
from jobs.lifecycle.chunks import Committed, ScoredChunk
from jobs.lifecycle.submission import Submission, accept
from jobs.planning import plan_job
from jobs.records import Claim, Job
from jobs.workshop import Workshop
from models.adding import NewVersion
from models.manifest import ImageSpec, Manifest
from models.registry import Registry

PERILS = Path(__file__).with_name("perils.py")
SLOW = Path(__file__).with_name("slow_model.py")
LEASE_SECONDS = 60.0
MAX_ATTEMPTS = 3
OWNER = "local"

SHAPE = InputShape(
    format="csv", compression=None, columns=(InputColumn("a", "number"),), rows=None, bytes_per_row=10.0
)


def submission(**changes: Any) -> Submission:
    """A job on a small CSV that exists in the database only."""
    options = {
        "keep": [],
        "outputs": [],
        "on_error": changes.pop("on_error", "null"),
        "max_row_errors": changes.pop("max_row_errors", None),
        "chunk_rows": None,
        "ttl": None,
    }
    input_id = str(uuid7())
    values: dict[str, Any] = {
        "owner": OWNER,
        "idempotency_key": None,
        "request_sha256": None,
        "name": None,
        "tags": [],
        "model_name": "wine",
        "model_version": 1,
        "model_sha256": "0" * 64,
        "options": options,
        "warnings": [],
        "rows_total": None,
        "ttl_seconds": 3600.0,
        "deadline_seconds": None,
        "input_id": input_id,
        "input_name": "data.csv",
        "input_bytes": 100,
        "input_sha256": "1" * 64,
        "input_shape": SHAPE.to_json(),
        "input_file": f"inputs/{input_id}/received",
    }
    return Submission(**(values | changes))


def new_job(database: Database, **changes: Any) -> Job:
    """An accepted job."""
    job, _ = accept(database, submission(**changes))
    return job


def planned_job(database: Database, chunk_count: int = 3, **changes: Any) -> Job:
    """A job with chunks of ten bytes each."""
    job = new_job(database, **changes)
    claim = steps.claim_planning(database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    assert claim is not None
    spans = [Span(10 * index, 10 * index + 10, None) for index in range(chunk_count)]
    steps.planned(database, claim, spans, steps.Prepared())
    return job


def submitted(workshop: Workshop, data: bytes, model: str, rows_a_chunk: int, **options: Any) -> Job:
    """A planned job on a real file; the model must have been added."""
    made = submission()
    path = workshop.files.path(made.input_file)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    shape = sniff(path, CsvOptions(), max_decoded_bytes=1 << 30)
    job = new_job(
        workshop.database,
        model_name=model,
        input_id=made.input_id,
        input_file=made.input_file,
        input_shape=shape.to_json(),
        options={**made.options, "chunk_rows": rows_a_chunk, **options},
    )
    plan_job(workshop, job.id)
    return job


def add_perilous(registry: Registry, folder: Path) -> None:
    """Add the models of ``perils.py``, as a user adds some with code of their own."""
    rows = pd.DataFrame({"a": np.arange(50.0), "b": 1.0})
    rows.to_csv(folder / "perilous.csv", index=False)
    with users_module(PERILS) as perils:
        joblib.dump(perils.Perilous(), folder / "perilous.joblib")
        joblib.dump(perils.PerilousPictures(), folder / "pictures.joblib")
    registry.add(
        NewVersion("perilous", folder / "perilous.joblib", sample=folder / "perilous.csv", code=PERILS)
    )
    pictures = ImageSpec(width=2, height=2, mode="L")
    registry.add(NewVersion("pictures", folder / "pictures.joblib", image=pictures, code=PERILS))


def add_slow(registry: Registry, folder: Path) -> None:
    """Add the model ``slow``: each row takes the seconds that it names."""
    rows = pd.DataFrame({"seconds": 0.0, "number": np.arange(50.0)})
    rows.to_csv(folder / "slow.csv", index=False)
    with users_module(SLOW) as slow_model:
        joblib.dump(slow_model.Slow(), folder / "slow.joblib")
    registry.add(NewVersion("slow", folder / "slow.joblib", sample=folder / "slow.csv", code=SLOW))


def slow_rows(count: int, seconds: float) -> bytes:
    """A CSV for the model ``slow``, which answers with the rows' numbers."""
    return pd.DataFrame({"seconds": seconds, "number": range(count)}).to_csv(index=False).encode()


@contextmanager
def users_module(file: Path) -> Iterator[Any]:
    """A module under the name that it has in its own folder, as a user's pickle refers to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)
        yield importlib.import_module(file.stem)
        del sys.modules[file.stem]


def claim_chunk(database: Database, job: Job, index: int, worker: str = "w") -> Claim | None:
    """Try to take a chunk."""
    return chunks.claim(
        database, job.id, index, worker=worker, lease_seconds=LEASE_SECONDS, max_attempts=MAX_ATTEMPTS
    )


def dead_process() -> str:
    """The name of a process of this machine that has ended."""
    say = "import base.processes as p; print(p.this_process())"
    return subprocess.run(
        [sys.executable, "-c", say], check=True, capture_output=True, text=True
    ).stdout.strip()


def scored(rows: int = 5, failed: int = 0) -> ScoredChunk:
    """What an attempt at a chunk of ``rows`` rows made, the first ``failed`` of them bad."""
    preview = [
        {
            "row": row,
            "line": row,
            "column": "a",
            "value": "x",
            "code": "not_a_number",
            "message": "'x' is none",
        }
        for row in range(failed)
    ]
    return ScoredChunk(
        rows=rows,
        lines=rows,
        rows_failed=failed,
        part={"file": "p", "bytes": 1, "sha256": "2" * 64, "errors_file": None},
        error_counts={"not_a_number:a": failed} if failed else {},
        preview=preview,
    )


def commit_chunk(database: Database, job: Job, index: int, rows: int = 5, failed: int = 0) -> Committed:
    """Claim a chunk and commit an attempt at it."""
    claim = claim_chunk(database, job, index)
    assert claim is not None
    return chunks.commit(database, claim, scored(rows, failed), window=4)


@dataclass(frozen=True)
class AddedModel:
    """A version that was added in a data folder of its own: to add one tries it out, which takes a while."""

    file: Path
    sample: Path
    folder: Path
    manifest: Manifest

    def put_into(self, database: Database, registry: Registry) -> None:
        """Make it the first version there."""
        name, version = self.manifest.name, self.manifest.version
        shutil.copytree(self.folder, registry.folder(name, version))
        row = {"name": name, "version": version, "sha256": self.manifest.sha256}
        with database.writing() as connection:
            now = database.now(connection)
            manifest = self.manifest.model_dump(mode="json")
            connection.execute(insert(versions).values(**row, created_at=now, manifest=manifest))


def added_wine(folder: Path) -> AddedModel:
    """The model ``wine``, added in this folder."""
    database = Database(f"sqlite:///{folder / 'rowmill.db'}")
    database.upgrade()
    registry = Registry(database, folder / "models")
    file, sample = trained_wine(folder)
    manifest = registry.add(NewVersion("wine", file, sample=sample))
    database.dispose()
    return AddedModel(file, sample, registry.folder(manifest.name, manifest.version), manifest)


def trained_wine(folder: Path) -> tuple[Path, Path]:
    """A forest for the bundled wine data as ``wine.joblib``, and its inputs as ``wine.csv``."""
    bundle = load_wine(as_frame=True)
    joblib.dump(
        RandomForestClassifier(10, random_state=0).fit(bundle.data, bundle.target), folder / "wine.joblib"
    )
    bundle.data.to_csv(folder / "wine.csv", index=False)
    return folder / "wine.joblib", folder / "wine.csv"

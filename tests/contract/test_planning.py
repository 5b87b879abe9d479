"""Planning on both databases: what it stores of a file, and that what a dead planner left does not stay."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from base.formats import CsvOptions, InputRefused, Span, read_members, sniff
from jobs import reading
from jobs.lifecycle import ending, steps
from jobs.planning import plan_job
from jobs.records import Job
from jobs.workshop import Workshop
from models.adding import NewVersion
from models.manifest import ImageSpec
from tests.builders import LEASE_SECONDS, MAX_ATTEMPTS, OWNER, AddedModel, new_job
from tests.conftest import Clock
from tests.hostile_archives import tarred, zipped


def test_the_file_that_a_dead_planner_decoded_goes(
    workshop: Workshop, wine: AddedModel, clock: Clock, tmp_path: Path
) -> None:
    wine.put_into(workshop.database, workshop.registry)
    rows = wine.sample
    received = tmp_path / "inputs" / "1" / "received"
    received.parent.mkdir(parents=True)
    received.write_bytes(gzip.compress(rows.read_bytes()))
    shape = sniff(received, CsvOptions(), max_decoded_bytes=1 << 30)
    job = new_job(
        workshop.database, input_shape=shape.to_json(), input_file="inputs/1/received", input_id="1"
    )
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    (received.parent / f"decoded-{job.id}-1").write_bytes(b"all but committed")
    clock.advance(LEASE_SECONDS + 1)
    plan_job(workshop, job.id)
    assert {path.name for path in received.parent.iterdir()} == {"received", f"decoded-{job.id}-2"}
    assert (received.parent / f"decoded-{job.id}-2").read_bytes() == rows.read_bytes()
    assert reading.find_job(workshop.database, OWNER, job.id).status == "scoring"


def image_job(workshop: Workshop, folder: Path, content: bytes) -> tuple[Job, Path]:
    """A job on an archive that was received already, for a model of images; and the input's folder."""
    estimator = DummyClassifier().fit(np.zeros((2, 64)), [0, 1])
    joblib.dump(estimator, folder / "dots.joblib")
    spec = ImageSpec(width=8, height=8, mode="L")
    workshop.registry.add(NewVersion("dots", folder / "dots.joblib", image=spec))
    received = folder / "inputs" / "1" / "received"
    received.parent.mkdir(parents=True)
    received.write_bytes(content)
    shape = sniff(received, CsvOptions(), max_decoded_bytes=1 << 30)
    job = new_job(
        workshop.database,
        model_name="dots",
        input_shape=shape.to_json(),
        input_file="inputs/1/received",
        input_id="1",
        warnings=["said before"],
    )
    return job, received.parent


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_planning_an_archive_leaves_the_index_that_its_chunks_read(
    workshop: Workshop, clock: Clock, tmp_path: Path, form: str
) -> None:
    files = {f"{number}.png": b"%d" % number for number in range(5)}
    if form == "zip":
        content = zipped(files | {"cut.png": b""})
    else:
        content = tarred(files | {"cut.png": bytes(3000)})[: 5 * 1024 + 512 + 1000]
    packed = gzip.compress(content) if form == "tar.gz" else content
    job, folder = image_job(workshop, tmp_path, packed)
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    (folder / f"members-{job.id}-1").write_bytes(b"all but committed")
    clock.advance(LEASE_SECONDS + 1)
    plan_job(workshop, job.id)
    view = reading.view_job(workshop.database, OWNER, job.id)
    assert (view.job.status, view.job.rows_total, view.job.chunks_total) == ("scoring", 6, 1)
    decoded = {f"decoded-{job.id}-2"} if form == "tar.gz" else set()
    assert {path.name for path in folder.iterdir()} == {"received", f"members-{job.id}-2"} | decoded
    stored = workshop.files.path(view.input.readable_file), workshop.files.path(view.input.member_index)
    assert [member.data for member in read_members(*stored, Span(2, 5, 3))] == [b"2", b"3", b"4"]
    said = view.job.warnings
    assert said[0] == "said before"
    assert ["cut off" in warning for warning in said[1:]] == ([] if form == "zip" else [True])
    ending.delete_job(workshop.database, workshop.files, OWNER, view.job)
    assert not folder.exists()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_that_is_damaged_behind_its_head_fails_its_job(
    workshop: Workshop, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    content = bytearray(tarred({"a.png": bytes(2 << 20), "b.png": b"x"}))
    content[512 + (2 << 20)] ^= 1
    job, folder = image_job(workshop, tmp_path, pack(bytes(content)))
    with pytest.raises(InputRefused):
        plan_job(workshop, job.id)
    failed = reading.find_job(workshop.database, OWNER, job.id)
    assert failed.status == "failed"
    assert failed.error
    assert failed.error["code"] == "unreadable_bytes"
    assert {path.name for path in folder.iterdir()} == {"received"}
    assert not list(workshop.files.staging.iterdir())

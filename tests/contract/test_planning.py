"""Planning a compressed file on both databases: what a planner that died left behind does not stay."""

from __future__ import annotations

import gzip
from pathlib import Path

from base.formats import CsvOptions, sniff
from jobs import reading
from jobs.lifecycle import steps
from jobs.planning import plan_job
from jobs.workshop import Workshop
from models.adding import NewVersion
from tests.builders import LEASE_SECONDS, MAX_ATTEMPTS, OWNER, new_job, trained_wine
from tests.conftest import Clock


def test_the_file_that_a_dead_planner_decoded_goes(workshop: Workshop, clock: Clock, tmp_path: Path) -> None:
    model, rows = trained_wine(tmp_path)
    workshop.registry.add(NewVersion("wine", model, sample=rows))
    received = tmp_path / "inputs" / "1" / "received"
    received.parent.mkdir(parents=True)
    received.write_bytes(gzip.compress(rows.read_bytes()))
    shape = sniff(received, CsvOptions(), max_decoded_bytes=1 << 30)
    job = new_job(
        workshop.database, input_shape=shape.to_json(), input_file="inputs/1/received", input_id="1"
    )
    assert steps.claim_planning(workshop.database, job.id, LEASE_SECONDS, MAX_ATTEMPTS)
    (received.parent / "decoded-1").write_bytes(b"all but committed")
    clock.advance(LEASE_SECONDS + 1)
    plan_job(workshop, job.id)
    assert {path.name for path in received.parent.iterdir()} == {"received", "decoded-2"}
    assert (received.parent / "decoded-2").read_bytes() == rows.read_bytes()
    assert reading.find_job(workshop.database, OWNER, job.id).status == "scoring"

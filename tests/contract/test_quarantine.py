"""A chunk that lost its process twice, on both databases: its third attempt is in quarantine."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from base.database.tables import attempts
from jobs import reading
from jobs.errors import LostLease
from jobs.lifecycle import ending
from jobs.quarantine import score_in_quarantine
from jobs.records import Claim
from jobs.running import run_chunk
from jobs.trouble import OutOfMemory, handed_back
from jobs.workshop import Workshop
from tests.builders import OWNER, add_perilous, claim_chunk, dead_process, submitted
from tests.conftest import Clock

DATA = b"a,b\n1,1\n-9,1\n3,1\n"


def test_two_crashes_and_a_quarantine(workshop: Workshop, clock: Clock, tmp_path: Path) -> None:
    add_perilous(workshop.registry, tmp_path)
    job = submitted(workshop, DATA, "perilous", 1000)
    first = claim_chunk(workshop.database, job, 0)
    assert first is not None
    with pytest.raises(OutOfMemory), handed_back(workshop, first):
        raise MemoryError
    clock.advance(60)
    assert claim_chunk(workshop.database, job, 0, worker=dead_process())
    run_chunk(workshop, job.id, 0)
    after = reading.find_job(workshop.database, OWNER, job.id)
    assert (after.status, after.rows_done, after.rows_failed) == ("succeeded", 3, 1)
    assert after.error_counts == {"scorer_crashed": 1}
    with workshop.database.reading() as connection:
        query = select(attempts.c.outcome).order_by(attempts.c.attempt)
        assert connection.execute(query).scalars().all() == ["out_of_memory", "lost", "done"]


def test_a_cancelled_job_leaves_quarantine(workshop: Workshop, tmp_path: Path) -> None:
    add_perilous(workshop.registry, tmp_path)
    job = submitted(workshop, b"a,b\n1,1\n-3,1\n", "perilous", 1000)  # the second row never ends
    held = claim_chunk(workshop.database, job, 0)
    assert isinstance(held, Claim)
    asked = 0

    def alive() -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            ending.cancel(workshop.database, OWNER, job.id)
        if reading.find_job(workshop.database, OWNER, job.id).done:
            raise LostLease

    with pytest.raises(LostLease):
        score_in_quarantine(workshop, held, alive)

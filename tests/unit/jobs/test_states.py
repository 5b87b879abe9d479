from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.states import CHUNK_MOVES, FINAL, JOB_MOVES, ChunkStatus, JobStatus, before

PAGE = (Path(__file__).parents[3] / "docs" / "states.md").read_text()


@pytest.mark.parametrize(("number", "moves"), [(0, JOB_MOVES), (1, CHUNK_MOVES)])
def test_the_picture_shows_the_moves_that_are_allowed(number: int, moves: dict[str, frozenset[str]]) -> None:
    diagram = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[number]
    drawn = set(re.findall(r"^\s+(\w+) --> (\w+)$", diagram, re.MULTILINE))
    assert drawn == {(str(source), str(target)) for source, targets in moves.items() for target in targets}


def test_every_state_can_be_reached_and_every_job_can_end() -> None:
    reached = {JobStatus.QUEUED}.union(*JOB_MOVES.values())
    assert reached == set(JobStatus)
    for status in set(JobStatus) - FINAL:
        assert {JobStatus.FAILED, JobStatus.CANCELLED} <= JOB_MOVES[status]
    assert {ChunkStatus.PENDING}.union(*CHUNK_MOVES.values()) == set(ChunkStatus)


def test_final_states_are_left_by_no_move() -> None:
    assert {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED} == FINAL
    assert all(FINAL.isdisjoint(before(target)) for target in JobStatus)

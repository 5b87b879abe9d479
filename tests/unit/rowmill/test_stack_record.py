"""The lock and the record of a stack, and the end of what an earlier one left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rowmill.stack.problem import StackProblem
from rowmill.stack.record import MARK, Record, end_leftovers, load_record, lock, started_at

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The id of a process that sleeps."""
    with subprocess.Popen(SLEEPER) as process:
        yield process.pid
        process.kill()


def record(stack_id: str = "one", **processes: tuple[int, float]) -> Record:
    return Record(stack_id, 1, "http://127.0.0.1:8000", "http://127.0.0.1:5555", processes)


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = record(api=(12, 34.5))
    saved.save(tmp_path / "stack.json")
    assert load_record(tmp_path / "stack.json") == saved
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"processes": {"api": 3}}', '{"processes": {}, "x": 1}']
)
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert load_record(tmp_path / "stack.json") is None


def test_a_second_lock_names_the_stack_that_has_the_first(tmp_path: Path) -> None:
    record().save(tmp_path / "stack.json")
    with (
        lock(tmp_path),
        pytest.raises(StackProblem, match=r"already runs in .* \(http://127\.0\.0\.1:8000, process 1\)"),
    ):
        lock(tmp_path)
    lock(tmp_path).close()


def test_a_recorded_process_is_ended(sleeper: int) -> None:
    assert end_leftovers(record(api=(sleeper, started_at(sleeper)))) == [sleeper]
    assert not psutil.pid_exists(sleeper)


def test_a_process_that_got_a_recorded_pid_later_is_spared(sleeper: int) -> None:
    assert end_leftovers(record(api=(sleeper, started_at(sleeper) - 60))) == []
    assert psutil.pid_exists(sleeper)


def test_a_process_that_carries_the_id_of_the_stack_is_ended() -> None:
    with subprocess.Popen(SLEEPER, env={**os.environ, MARK: "one"}) as process:
        assert end_leftovers(record("another")) == []
        assert end_leftovers(record("one")) == [process.pid]

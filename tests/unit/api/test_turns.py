"""One works, few wait, more are told to come again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from api.turns import Turns
from jobs.errors import Problem
from tests.waiting import wait_until


def test_one_works_few_wait_and_more_are_refused() -> None:
    turns = Turns(waiting=2, seconds=600)

    def work() -> None:
        with turns.turn("others are at work"):
            pass

    with ThreadPoolExecutor(5) as pool:
        with turns.turn("others are at work"):
            asked = [pool.submit(work) for _ in range(5)]
            wait_until(lambda: sum(each.done() for each in asked) == 3, "three are refused")
        refused = [problem for each in asked if (problem := each.exception()) is not None]
    assert [getattr(problem, "code", problem) for problem in refused] == ["queue_full"] * 3
    work()


def test_nobody_waits_longer_than_is_said() -> None:
    turns = Turns(waiting=1, seconds=0.01)
    with turns.turn("others are at work"):
        for _ in range(2):
            with pytest.raises(Problem, match="others are at work"), turns.turn("others are at work"):
                pass
    with turns.turn("others are at work"):
        pass

"""What is remembered is at most so old, and is renewed while it is in use without that anybody waits."""

from __future__ import annotations

import threading
import weakref

import pytest

from base.remembered import Remembered
from tests.conftest import Clock
from tests.waiting import wait_until


class Source:
    """Says how often it was asked, or fails; an answer may be held up."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.free = threading.Event()
        self.free.set()

    def __call__(self) -> int:
        assert self.free.wait(60)
        self.asked += 1
        if self.fails:
            raise LookupError("nothing there")
        return self.asked


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def values(clock: Clock) -> Remembered[int]:
    return Remembered(2.0, 10.0, 3, clock)


def test_a_young_value_is_not_asked_for_again(values: Remembered[int], source: Source, clock: Clock) -> None:
    assert values.known("key") is None
    assert values.find("key", source) == 1
    clock.advance(1.9)
    assert (values.find("key", source), values.known("key"), source.asked) == (1, 1, 1)


def test_an_old_value_serves_while_one_renewal_is_under_way(
    values: Remembered[int], source: Source, clock: Clock
) -> None:
    values.find("key", source)
    clock.advance(2)
    source.free.clear()
    assert [values.find("key", source) for _ in range(5)] == [1] * 5
    source.free.set()
    wait_until(lambda: values.known("key") == 2, "the value is renewed")
    clock.advance(1.9)
    assert (values.known("key"), source.asked) == (2, 2)


def test_a_value_is_never_older_than_promised(values: Remembered[int], source: Source, clock: Clock) -> None:
    values.find("key", source)
    clock.advance(10)
    assert values.known("key") is None
    assert values.find("key", source) == 2


def test_what_can_not_be_renewed_serves_until_it_is_too_old(
    values: Remembered[int], source: Source, clock: Clock
) -> None:
    values.find("key", source)
    source.fails = True
    for asked in (2, 3):
        clock.advance(2)
        assert values.known("key") == 1
        wait_until(lambda asked=asked: source.asked == asked, "it is tried")  # type: ignore[misc]
        wait_until(lambda: not values._renewing, "it is over")
        assert values.known("key") == 1  # and not tried again at once
        assert not values._renewing
    clock.advance(6)
    assert values.known("key") is None
    with pytest.raises(LookupError, match="nothing there"):
        values.find("key", source)


def test_what_is_gone_is_forgotten(clock: Clock) -> None:
    values: Remembered[int | None] = Remembered(2.0, 10.0, 3, clock)
    answers = iter([1, None])
    values.find("key", lambda: next(answers))
    clock.advance(2)
    wait_until(lambda: values.known("key") is None, "it is found to be gone")


def test_so_many_are_remembered_and_no_more(values: Remembered[int], source: Source) -> None:
    for key in range(4):
        values.find(key, source)
    assert [values.known(key) for key in range(4)] == [None, None, None, 4]


def test_what_nobody_asks_for_takes_no_memory(clock: Clock) -> None:
    values: Remembered[list[int]] = Remembered(2.0, 10.0, 100, clock)
    kept = [values.find(key, lambda: _List([1])) for key in range(3)]
    left = weakref.ref(kept[0])
    kept.clear()
    clock.advance(10)
    assert left() is not None
    values.find("another", lambda: _List([2]))
    assert left() is None


class _List(list[int]):
    """A list that can be watched."""

"""Whether a named process has ended: known of our own machine, never guessed of another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from base.processes import has_ended, this_process
from tests.waiting import wait_until

SAY_NAME = "import base.processes as p; print(p.this_process(), flush=True); input()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes apart for good")


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and its name."""
    child = subprocess.Popen(
        [sys.executable, "-c", SAY_NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout
        yield child, child.stdout.readline().strip()
        child.kill()


def test_a_killed_process_has_ended_even_before_its_parent_knows(
    other: tuple[subprocess.Popen[str], str],
) -> None:
    child, name = other
    assert not has_ended(name)
    child.kill()
    wait_until(lambda: has_ended(name), "the kernel has ended it")  # a zombie until it is waited for
    assert child.returncode is None
    child.wait()
    assert has_ended(name)


def test_a_number_that_is_used_again_is_another_process() -> None:
    host, pid, start, place = this_process().split(":")
    assert not has_ended(f"{host}:{pid}:{start}:{place}")
    assert has_ended(f"{host}:{pid}:{int(start) - 1}:{place}")


def test_what_runs_elsewhere_is_not_known_to_have_ended() -> None:
    host, _, start, place = this_process().split(":")
    gone = 2**22 + 1  # beyond the largest number that Linux gives
    assert has_ended(f"{host}:{gone}:{start}:{place}")
    elsewhere = place[::-1]
    for name in (f"{host}:{gone}:{start}:{elsewhere}", f"{host}:{gone}", "test", ""):
        assert not has_ended(name)

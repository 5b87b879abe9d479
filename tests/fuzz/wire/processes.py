"""The processes of a server before and after: none died, and none holds what it should have given back."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import psutil

from rowmill.stack.gunicorn_settings import threads
from rowmill.stack.gunicorn_worker import LONG_THREADS
from tests.waiting import wait_until

# Those that answer, by pool, and some that a process has for itself.
MOST_THREADS = 3 * threads + LONG_THREADS + 8


class Processes:
    """The processes that answer, which are children of the one that was started.

    They should have answered already, so that they have opened what they keep.
    """

    def __init__(self, pid: int) -> None:
        self._master = psutil.Process(pid)
        self._before = {}
        for child in self._master.children():
            wait_until(partial(is_quiet, child), "no client is there", 60)
            self._before[child.pid] = descriptors(child)

    @property
    def pids(self) -> list[int]:
        """Those that answered at the beginning."""
        return list(self._before)

    def check(self) -> None:
        """Raise AssertionError where a process ended, or holds something though all clients have gone."""
        children = {child.pid: child for child in self._master.children()}
        assert set(children) == set(self._before), "a process ended"
        for pid, child in children.items():
            wait_until(partial(is_quiet, child), "no client is there", 60)
            said = f"all is given back: {self._before[pid]} became {descriptors(child)}"
            wait_until(partial(self._gave_back, child), said, 60)
            assert child.num_threads() <= MOST_THREADS, pid

    def _gave_back(self, child: psutil.Process) -> bool:
        """Everything but a database that more threads use by now, and what Python has not yet collected.

        The latter are pollers (anonymous) of connections to a Redis that is not there.
        """
        more = descriptors(child) - self._before[child.pid]
        return all(".db" in target or target == "anon_inode" for target in more)


def is_quiet(process: psutil.Process) -> bool:
    """Whether nobody is connected to it."""
    return all(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))


def descriptors(process: psutil.Process) -> Counter[str]:
    """What a process holds by what it is; sockets and pipes are all the same."""
    targets = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            targets.append(str(link.readlink()).partition(":[")[0])
        except FileNotFoundError:
            continue  # closed meanwhile
    return Counter(targets)

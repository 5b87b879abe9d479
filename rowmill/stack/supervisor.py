"""Keeps programs running: restarts what dies, with a growing pause, and stops all in a given order.

It knows nothing of Rowmill. One thread starts, watches and ends every child: on Linux a child dies with the
*thread* that started it (see ``tether.py``), so that thread has to live exactly as long as the children.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from rowmill.stack.child import LOG_BYTES, Child, Program, rotate

TICK_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 30.0  # a program that ran this long starts again with the first pause


def restart_pause(failures: int) -> float:
    """Seconds to wait before the restart that follows ``failures`` deaths in a row (1, 2, …)."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))


class _Post:
    """A program and its present child, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.failures = 0
        self.restart_at = 0.0
        self.child: Child | None = Child(program)


class Supervisor:
    """Starts programs and looks after them until :meth:`stop`; ``on_change`` is called after every start."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._posts: dict[str, _Post] = {}
        self._inbox: queue.SimpleQueue[tuple[Program, Future[None]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, program: Program) -> None:
        """Start a program; what is started first is stopped last."""
        rotate(program.log)
        future: Future[None] = Future()
        self._inbox.put((program, future))
        future.result()

    def wait(self) -> None:
        """Return when nothing is looked after any more."""
        self._thread.join()

    def stop(self, *, at_once: bool = False) -> None:
        """End all, last started first: SIGTERM, then SIGKILL when its time is up or ``at_once`` is said."""
        if at_once:
            self._hurry.set()
        self._stopping.set()
        self._thread.join()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run now."""
        return {name: post.child.pid for name, post in list(self._posts.items()) if post.child}

    @property
    def failures(self) -> dict[str, int]:
        """Deaths in a row by name; 0 after a run of half a minute."""
        return {name: post.failures for name, post in list(self._posts.items())}

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                self._admit(*self._inbox.get(timeout=TICK_SECONDS))
            for post in self._posts.values():
                self._tend(post)
        for post in reversed(self._posts.values()):
            self._end(post)

    def _admit(self, program: Program, future: Future[None]) -> None:
        try:
            self._posts[program.name] = _Post(program)
        except OSError as error:
            future.set_exception(error)
        else:
            self._on_change()
            future.set_result(None)

    def _tend(self, post: _Post) -> None:
        now = time.monotonic()
        if post.child is None:
            if now >= post.restart_at:
                self._restart(post)
        elif post.child.exit_status() is not None:
            post.child.kill_group()  # whatever it left behind would meet its successor
            stable = now - post.child.started >= STABLE_SECONDS
            post.failures = 1 if stable else post.failures + 1
            post.restart_at = now + restart_pause(post.failures)
            post.child = None
        elif now - post.child.started >= STABLE_SECONDS:
            post.failures = 0
            with contextlib.suppress(OSError):  # somebody removed the log, or the disk is full
                if post.program.log.stat().st_size > LOG_BYTES:
                    rotate(post.program.log)

    def _restart(self, post: _Post) -> None:
        try:
            post.child = Child(post.program)
        except OSError:  # no memory or no process left just now: the next pause is longer
            post.failures += 1
            post.restart_at = time.monotonic() + restart_pause(post.failures)
        else:
            with contextlib.suppress(
                OSError
            ):  # a full disk: what is told of the change must not end the stack
                self._on_change()

    def _end(self, post: _Post) -> None:
        child = post.child
        if child is None:
            return
        if child.exit_status() is None and not self._hurry.is_set():
            child.ask_to_stop()
            deadline = time.monotonic() + post.program.stop_seconds
            while not child.wait(TICK_SECONDS) and time.monotonic() < deadline and not self._hurry.is_set():
                pass
        child.kill_group()
        post.child = None

"""Work that is done by one request at a time in a process, while few others wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.errors import Problem


class Turns:
    """While one request is at work, ``waiting`` others wait, ``seconds`` at most; more are refused.

    Each that waits keeps a thread from others.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        self._seconds = seconds
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + waiting)

    @contextmanager
    def turn(self, refusal: str) -> Iterator[None]:
        """The block alone; raises ``Problem`` (``queue_full``) with ``refusal`` if there is no place."""
        if not self._places.acquire(blocking=False):
            raise Problem("queue_full", refusal)
        try:
            if not self._turn.acquire(timeout=self._seconds):
                raise Problem("queue_full", refusal)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

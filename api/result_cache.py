"""Answers that were given before, kept by this process as long as there is room and their time is not over.

What is the same row is up to ``models/row_keys.py``. Off unless ``predict_cache_entries`` is set.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

# What Python takes for an entry besides the answer itself.
ENTRY_BYTES = 400


class ResultCache:
    """Bounded in entries and bytes, the longest unused out first. Safe to share between threads."""

    def __init__(
        self, entries: int, max_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_on = entries > 0
        self._max_entries = entries
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    def get(self, key: bytes) -> dict[str, Any] | None:
        """The answer, as a copy of the caller's own; None if there is none, or no more."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            answer, until = found
            if self._clock() >= until:
                self._drop(key)
                return None
            self._kept.move_to_end(key)
        known: dict[str, Any] = json.loads(answer)
        return known

    def put(self, key: bytes, answer: dict[str, Any]) -> None:
        """Keep an answer of JSON values, and make room for it; one that is too large is not kept."""
        text = json.dumps(answer).encode()
        with self._lock:
            if key in self._kept:
                self._drop(key)
            if _size(text) > self._max_bytes:
                return
            self._kept[key] = text, self._clock() + self._seconds
            self._bytes += _size(text)
            while len(self._kept) > self._max_entries or self._bytes > self._max_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        text, _ = self._kept.pop(key)
        self._bytes -= _size(text)


def _size(text: bytes) -> int:
    return len(text) + ENTRY_BYTES

"""What was found out, remembered for some seconds, and found out again in the background while it is in use.

Whoever has to ask the database waits for those who write to it, on SQLite even for the disk under their
commit. A request whose answer was there a moment ago is spared that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Entry(Generic[Value]):
    value: Value
    ask: Callable[[], Value]
    asked_at: float


class Remembered(Generic[Value]):
    """Values by key, at most ``forget_seconds`` old; from ``renew_seconds`` on, use renews them.

    Safe to share between threads. None means that there is nothing, and is not remembered.
    """

    def __init__(
        self,
        renew_seconds: float,
        forget_seconds: float,
        max_entries: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renew_seconds = renew_seconds
        self._forget_seconds = forget_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._entries: dict[Hashable, _Entry[Value]] = {}
        self._renewing: set[Hashable] = set()
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(1, "remembered")

    def known(self, key: Hashable) -> Value | None:
        """The value, if it is remembered; never waits."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        age = self._clock() - entry.asked_at
        if age >= self._forget_seconds:
            return None
        if age >= self._renew_seconds:
            self._renew(key, entry)
        return entry.value

    def find(self, key: Hashable, ask: Callable[[], Value]) -> Value:
        """The value, from ``ask`` if it is not remembered; raises what that raises.

        ``ask`` is kept, and called again from another thread.
        """
        known = self.known(key)
        return self._ask(key, ask) if known is None else known

    def _ask(self, key: Hashable, ask: Callable[[], Value]) -> Value:
        asked_at = self._clock()
        value = ask()
        with self._lock:
            if value is None:
                self._entries.pop(key, None)
            else:
                if len(self._entries) >= self._max_entries:
                    self._entries.clear()
                self._entries[key] = _Entry(value, ask, asked_at)
        return value

    def _renew(self, key: Hashable, entry: _Entry[Value]) -> None:
        with self._lock:
            if key in self._renewing:
                return
            self._renewing.add(key)
        self._background.submit(self._renew_now, key, entry)

    def _renew_now(self, key: Hashable, entry: _Entry[Value]) -> None:
        try:
            self._ask(key, entry.ask)
        except Exception:  # noqa: BLE001 - whoever asks next meets the same, and says so
            with self._lock:
                self._entries.pop(key, None)
        finally:
            with self._lock:
                self._renewing.discard(key)

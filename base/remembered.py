"""What was found out, remembered for some seconds, and found out again in the background while it is in use.

Whoever has to ask the database waits for those who write to it, on SQLite even for the disk under their
commit. A request whose answer was there a moment ago is spared that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import structlog

Value = TypeVar("Value")
RENEWALS_AT_ONCE = 4

log = structlog.get_logger()


@dataclass(frozen=True)
class _Entry(Generic[Value]):
    value: Value
    ask: Callable[[], Value]
    asked_at: float
    renew_at: float


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
        self._swept_at = clock()
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(RENEWALS_AT_ONCE, "remembered")

    def known(self, key: Hashable) -> Value | None:
        """The value, if it is remembered; never waits."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._clock()
        if now - entry.asked_at >= self._forget_seconds:
            return None
        if now >= entry.renew_at:
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
            self._sweep(asked_at)
            if value is None:
                self._entries.pop(key, None)
            else:
                if len(self._entries) >= self._max_entries and key not in self._entries:
                    self._entries.clear()
                self._entries[key] = _Entry(value, ask, asked_at, asked_at + self._renew_seconds)
        return value

    def _sweep(self, now: float) -> None:
        """Let go of what nobody asks for any more, now and then."""
        if now - self._swept_at < self._forget_seconds:
            return
        self._swept_at = now
        for key, entry in list(self._entries.items()):
            if now - entry.asked_at >= self._forget_seconds:
                del self._entries[key]

    def _renew(self, key: Hashable, entry: _Entry[Value]) -> None:
        with self._lock:
            if key in self._renewing:
                return
            self._renewing.add(key)
        try:
            self._background.submit(self._renew_now, key, entry)
        except RuntimeError as error:  # no thread can start, or the program ends
            self._not_renewed(key, entry, error)

    def _renew_now(self, key: Hashable, entry: _Entry[Value]) -> None:
        try:
            self._ask(key, entry.ask)
        except Exception as error:  # noqa: BLE001 - the value is good for some seconds; who asks then is told
            self._not_renewed(key, entry, error)
        else:
            with self._lock:
                self._renewing.discard(key)

    def _not_renewed(self, key: Hashable, entry: _Entry[Value], error: Exception) -> None:
        log.warning("what is remembered could not be looked up again", reason=repr(error))
        later = replace(entry, renew_at=self._clock() + self._renew_seconds)
        with self._lock:
            self._renewing.discard(key)
            if self._entries.get(key) is entry:
                self._entries[key] = later

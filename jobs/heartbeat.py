"""Keeps a lease alive while its holder works, and notices when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs.errors import LostLease

# Work that takes longer than this asks whether it is still wanted.
CHECK_SECONDS = 1.0

log = structlog.get_logger()


class Heartbeat:
    """Calls ``renew`` every ``seconds`` in a thread, for the length of a ``with`` block.

    A renewal that raises is tried again at the next beat: the lease is several beats long. Work that looks in
    by :meth:`check` learns of a lost lease, or a cancelled job, sooner than by the next beat.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float) -> None:
        self._renew = renew
        self._seconds = seconds
        self._stop = threading.Event()
        self._lost = False
        self._asked_at = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise ``LostLease`` if the lease is gone; call it between steps of the work, however short."""
        if not self._lost and time.monotonic() - self._asked_at >= min(CHECK_SECONDS, self._seconds):
            self._ask()
        if self._lost:
            raise LostLease

    def _beat(self) -> None:
        while not self._lost and not self._stop.wait(self._seconds):
            self._ask()

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        try:
            if not self._renew():
                self._lost = True
        except SQLAlchemyError as error:
            log.warning("lease not renewed", reason=str(error))

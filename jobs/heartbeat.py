"""Keeps a lease alive while its holder works, and notices when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs.errors import LostLease

log = structlog.get_logger()


class Heartbeat:
    """Calls ``renew`` every ``seconds`` in a thread, for the length of a ``with`` block.

    A renewal that raises is tried again at the next beat: the lease is several beats long.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float) -> None:
        self._renew = renew
        self._seconds = seconds
        self._stop = threading.Event()
        self._lost = False
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
        """Raise ``LostLease`` if the last renewal found the lease gone; call it between steps of the work."""
        if self._lost:
            raise LostLease

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._lost = not self._renew()
            except SQLAlchemyError as error:
                log.warning("lease not renewed", reason=str(error))
            if self._lost:
                return

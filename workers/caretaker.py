"""The caretaker's process: ``python -m workers.caretaker`` ticks until it is told to stop."""

from __future__ import annotations

import signal
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from base import logs
from base.settings import Settings
from jobs.caretaker import Caretaker
from jobs.feedback.watch import AccuracyWatch
from jobs.stores import Stores

log = structlog.get_logger()


def main() -> None:
    """Tick every ``caretaker_seconds``; a database that is away is tried again at the next tick."""
    settings = Settings()
    logs.configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stores = Stores.connect(settings)
    caretaker, watch = Caretaker(stores), AccuracyWatch(stores)
    while not stop.is_set():
        for tick in (caretaker.tick, watch.tick):  # a command is looked after whatever else fails
            try:
                tick()
            except (SQLAlchemyError, OSError) as error:
                log.error("tick failed", reason=str(error))
        stop.wait(settings.caretaker_seconds)
    watch.close()
    stores.close()


if __name__ == "__main__":
    main()

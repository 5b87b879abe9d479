"""What each pool process owns: its workshop, made after the fork, and the beat that shows it is alive."""

from __future__ import annotations

import threading

import structlog
from celery import signals
from sqlalchemy.exc import SQLAlchemyError

from base import logs
from base.memory import limit_memory
from base.processes import this_process
from base.settings import Settings
from jobs.caretaker import Caretaker
from jobs.lifecycle.presence import gone, seen
from jobs.workshop import Workshop
from workers.memory import keep_freed_memory
from workers.priority import yield_to_the_api

log = structlog.get_logger()

_current: list[Workshop] = []


def workshop() -> Workshop:
    """This process's workshop. Connections and models must not cross a fork, so it is made in the child."""
    return _current[0]


@signals.setup_logging.connect
def _configure_logs(**_kwargs: object) -> None:
    settings = Settings()
    logs.configure(settings.log_format, settings.log_level)
    logs.hear_libraries(settings.log_format)


@signals.worker_process_init.connect
def _open(**_kwargs: object) -> None:
    settings = Settings()
    keep_freed_memory()
    limit_memory(settings.max_process_bytes)
    yield_to_the_api()
    shop = Workshop.open(settings, worker=this_process())
    _current[:] = [shop]
    for name, duty in (("presence", _stay_seen), ("deputy", _stand_in)):
        threading.Thread(target=duty, args=(shop,), name=name, daemon=True).start()


@signals.worker_process_shutdown.connect
def _close(**_kwargs: object) -> None:
    for shop in _current:
        try:
            gone(shop.database, shop.worker)
        except SQLAlchemyError as error:
            log.warning("last sign of life not taken back", reason=str(error))
        shop.close()


def _stay_seen(shop: Workshop) -> None:
    """Write a sign of life for as long as the process lives; a database that is away is tried again."""
    pause = threading.Event()
    while True:
        try:
            seen(shop.database, shop.worker)
        except SQLAlchemyError as error:
            log.warning("sign of life not written", reason=str(error))
        pause.wait(shop.settings.heartbeat_seconds)


def _stand_in(shop: Workshop) -> None:
    """Do the caretaker's work for as long as nobody else does it."""
    caretaker, pause = Caretaker(shop), threading.Event()
    while not pause.wait(shop.settings.caretaker_seconds):
        try:
            caretaker.stand_in()
        except (SQLAlchemyError, OSError) as error:
            log.warning("could not stand in for the caretaker", reason=str(error))

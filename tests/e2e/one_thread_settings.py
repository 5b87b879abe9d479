"""gunicorn's settings as they are, with one process of one thread that never asks twice what a name means.

Answers that nobody reads fill a connection soon.
"""

from __future__ import annotations

import socket
from typing import Any

from models import catalog
from rowmill.stack import gunicorn_settings
from rowmill.stack.gunicorn_settings import *  # noqa: F403 - gunicorn reads the names

workers = 1
threads = 1
graceful_timeout = 1  # what a test holds up on purpose is not waited for
catalog.FORGET_SECONDS = 3600.0


def post_worker_init(worker: Any) -> None:  # type: ignore[no-redef]
    gunicorn_settings.post_worker_init(worker)
    for listener in worker.sockets:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # its connections inherit it

"""gunicorn's settings as they are, with one process that may open few files."""

from __future__ import annotations

import resource
from typing import Any

from rowmill.stack import gunicorn_settings
from rowmill.stack.gunicorn_settings import *  # noqa: F403 - gunicorn reads the names

workers = 1


def post_fork(server: Any, worker: Any) -> None:  # type: ignore[no-redef]
    gunicorn_settings.post_fork(server, worker)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

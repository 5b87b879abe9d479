"""gunicorn's settings as they are, with one process and less patience: what takes seconds takes one here."""

from __future__ import annotations

from rowmill.stack import bodies, gunicorn_worker
from rowmill.stack.gunicorn_settings import *  # noqa: F403 - gunicorn reads the names

workers = 1
gunicorn_worker.REQUEST_SECONDS = 1.0
bodies.SILENT_SECONDS = 1.0

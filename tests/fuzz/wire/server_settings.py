"""gunicorn's settings as they are, with less patience: what takes seconds takes one or a few here."""

from __future__ import annotations

from rowmill.stack import bodies, gunicorn_worker
from rowmill.stack.gunicorn_settings import *  # noqa: F403 - gunicorn reads the names

keepalive = 1
gunicorn_worker.REQUEST_SECONDS = 1.0
bodies.SILENT_SECONDS = 1.0
gunicorn_worker.ANSWER_SECONDS = 10.0

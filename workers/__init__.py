"""The Celery app: ``celery -A workers worker`` scores, ``celery -A workers flower`` watches."""

from __future__ import annotations

from celery import Celery

app = Celery("workers")
app.config_from_object("celeryconfig")

__all__ = ["app"]

"""The Celery app: ``celery -A workers worker`` scores, ``celery -A workers flower`` watches."""

from __future__ import annotations

from celery import Celery

from workers.connection import ReturningAMQP

app = Celery("workers", amqp=ReturningAMQP)
app.config_from_object("celeryconfig")

__all__ = ["app"]

"""How workers come back to a Redis that was away: soon, however long it was."""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection

# kombu's own pauses grow to half a minute, so after an outage of minutes all jobs would wait for that long.
PAUSES = {"interval_start": 1, "interval_step": 1, "interval_max": 2}


class ReturningConnection(Connection):
    """Tries again every three seconds at most."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Wait until the broker answers; what the caller says of pauses comes first."""
        return super().ensure_connection(*args, **{**PAUSES, **options})  # type: ignore[no-untyped-call]  # kombu has no types


class ReturningAMQP(AMQP):
    """Makes Celery use it."""

    Connection = ReturningConnection

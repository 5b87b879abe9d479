"""Logged predictions whose time is over."""

from __future__ import annotations

from sqlalchemy import delete, select

from base.database.tables import lost_predictions, predictions
from jobs.feedback.log import HOUR_SECONDS
from jobs.stores import Stores

# At a time, so that nobody waits long for the lock of SQLite; the next tick goes on.
MOST = 5000


def forget_old_predictions(stores: Stores) -> None:
    """Remove the oldest predictions that are past ``prediction_ttl_seconds``, with their labels."""
    database = stores.database
    with database.reading() as connection:
        first = int((database.now(connection) - stores.settings.prediction_ttl_seconds) // HOUR_SECONDS)
        over = select(predictions.c.id).where(predictions.c.hour < first).limit(MOST)
        if connection.execute(over.limit(1)).first() is None:
            return
    with database.writing() as connection:
        connection.execute(delete(predictions).where(predictions.c.id.in_(over)))
        connection.execute(delete(lost_predictions).where(lost_predictions.c.hour < first))

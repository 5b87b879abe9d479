"""Logged predictions whose time is over."""

from __future__ import annotations

import time

from sqlalchemy import ColumnElement, Connection, delete, exists, select

from base.database.tables import lost_predictions, predictions
from jobs.feedback.log import HOUR_SECONDS
from jobs.stores import Stores

# In one transaction, so that nobody waits long for the lock of SQLite.
BATCH = 5000
# In one tick, which has other work too; the next one goes on.
TICK_SECONDS = 2.0


def forget_old_predictions(stores: Stores) -> None:
    """Remove predictions that are past ``prediction_ttl_seconds``, with their labels, for a moment."""
    database = stores.database
    with database.reading() as connection:
        first = int((database.now(connection) - stores.settings.prediction_ttl_seconds) // HOUR_SECONDS)
        have_lost = _has(connection, lost_predictions.c.hour < first)
        has_more = _has(connection, predictions.c.hour < first)
    if have_lost:
        with database.writing() as connection:
            connection.execute(delete(lost_predictions).where(lost_predictions.c.hour < first))
    over = select(predictions.c.id).where(predictions.c.hour < first).limit(BATCH)
    began = time.monotonic()
    while has_more:
        batch_began = time.monotonic()
        with database.writing() as connection:
            gone = connection.execute(delete(predictions).where(predictions.c.id.in_(over))).rowcount
        has_more = gone == BATCH
        ended = time.monotonic()
        if ended - began >= TICK_SECONDS:
            return
        if has_more:
            time.sleep(ended - batch_began)  # as long again for others who write


def _has(connection: Connection, condition: ColumnElement[bool]) -> bool:
    return bool(connection.execute(select(exists().where(condition))).scalar())

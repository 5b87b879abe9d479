"""Signs of life of scoring processes: they size the windows and answer whether anybody would run a job."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from base.database import Database
from base.database.tables import workers


def seen(database: Database, worker: str) -> None:
    """Note that ``worker`` is alive now."""
    insert = sqlite.insert if database.is_sqlite else postgresql.insert
    with database.writing() as connection:
        now = database.now(connection)
        first = insert(workers).values(name=worker, started_at=now, seen_at=now)
        connection.execute(first.on_conflict_do_update(index_elements=["name"], set_={"seen_at": now}))


def gone(database: Database, worker: str) -> None:
    """Note that ``worker`` has stopped; one that was killed counts as gone once it has been silent."""
    with database.writing() as connection:
        connection.execute(delete(workers).where(workers.c.name == worker))

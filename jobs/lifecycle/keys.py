"""An Idempotency-Key while its first upload runs: a lease on the key, so that a second upload waits.

The lease only saves work and gives a clear answer. One key makes one job by a unique index of ``jobs``.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from uuid6 import uuid7

from base.database import Database
from base.database.tables import owned, uploads
from jobs.errors import Problem
from jobs.lifecycle.guards import lease_is_over


class KeyLease:
    """One upload's right to its key; made by :func:`take`."""

    def __init__(self, database: Database, owner: str, key: str, seconds: float) -> None:
        self._database = database
        self._owner = owner
        self._key = key
        self._seconds = seconds
        self._holder = str(uuid7())

    def check(self) -> None:
        """Raise ``Problem`` (``idempotency_key_in_use``) while another upload holds the key."""
        with self._database.reading() as connection:
            over = lease_is_over(uploads.c.lease_until, self._database.now(connection), self._seconds)
            key = and_(owned(uploads, self._owner), uploads.c.key == self._key)
            if connection.execute(select(uploads.c.key).where(key, not_(over))).first():
                raise _in_use(self._key)

    def take(self) -> None:
        """Hold the key from now on. Raises ``Problem`` as :meth:`check`."""
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        with self._database.writing() as connection:
            now = self._database.now(connection)
            values = {"holder": self._holder, "lease_until": now + self._seconds}
            taken = (
                insert(uploads)
                .values(owner=self._owner, key=self._key, **values)
                .on_conflict_do_update(
                    index_elements=["owner", "key"],
                    set_=values,
                    where=lease_is_over(uploads.c.lease_until, now, self._seconds),
                )
                .returning(uploads.c.holder)
            )
            if connection.execute(taken).first() is None:
                raise _in_use(self._key)

    def renew(self) -> None:
        """Keep the lease. Raises ``Problem`` if it ran out and another upload has taken the key."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            renewed = update(uploads).where(self._mine()).values(lease_until=now + self._seconds)
            if connection.execute(renewed).rowcount != 1:
                raise _in_use(self._key)

    def give_back(self) -> None:
        """Free the key, unless another upload has taken it."""
        with self._database.writing() as connection:
            connection.execute(delete(uploads).where(self._mine()))

    def _mine(self) -> ColumnElement[bool]:
        return and_(owned(uploads, self._owner), uploads.c.key == self._key, uploads.c.holder == self._holder)


def _in_use(key: str) -> Problem:
    return Problem(
        "idempotency_key_in_use",
        f"A request with the Idempotency-Key {key!r} is still being received. Ask again in some seconds.",
    )

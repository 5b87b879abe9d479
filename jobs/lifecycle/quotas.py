"""How much one owner may have at once: jobs that have not ended, and bytes of inputs and results.

Counted where the truth is, in the transaction that adds the job, so that requests at the same time cannot
slip through together. Who has which limits is known to the API.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, and_, cast, exists, func, select, text

from base.database import Database
from base.database.tables import inputs, jobs, owned
from jobs.errors import Problem
from jobs.states import FINAL


@dataclass(frozen=True)
class Quota:
    """Most that an owner may have; 0 means no limit."""

    max_open_jobs: int = 0
    max_stored_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.max_open_jobs or self.max_stored_bytes)


NO_QUOTA = Quota()


def reserve(database: Database, connection: Connection, owner: str, quota: Quota, new_bytes: int) -> None:
    """Make room for a new job in a transaction that writes it. Raises ``Problem`` (``quota_exceeded``).

    Other submissions of the owner wait until the transaction has ended; on SQLite all writers do anyway.
    """
    if quota and not database.is_sqlite:
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))")
        connection.execute(lock, {"owner": owner})
    _check(connection, owner, quota, new_bytes)


def check(database: Database, owner: str, quota: Quota, new_bytes: int) -> None:
    """Refuse early what will hardly fit, before it is received. Raises as :func:`reserve`."""
    if quota:
        with database.reading() as connection:
            _check(connection, owner, quota, new_bytes)


def _check(connection: Connection, owner: str, quota: Quota, new_bytes: int) -> None:
    if quota.max_open_jobs and (count := _open_jobs(connection, owner)) >= quota.max_open_jobs:
        raise Problem(
            "quota_exceeded",
            f"{owner!r} has {count} jobs that have not ended, and may have {quota.max_open_jobs}. "
            "Wait until one has ended, or cancel one.",
        )
    if not quota.max_stored_bytes:
        return
    stored = _stored_bytes(connection, owner)
    if stored + max(new_bytes, 1) > quota.max_stored_bytes:
        raise Problem(
            "quota_exceeded",
            f"{owner!r} has {stored} bytes of inputs and results, and may have {quota.max_stored_bytes}; "
            f"{new_bytes} more do not fit. Delete jobs that are no longer needed.",
        )


def _open_jobs(connection: Connection, owner: str) -> int:
    still_open = and_(owned(jobs, owner), jobs.c.status.not_in(FINAL))
    return int(connection.execute(select(func.count()).select_from(jobs).where(still_open)).scalar_one())


def _stored_bytes(connection: Connection, owner: str) -> int:
    """Inputs as they were received, and results, of jobs whose files are still there."""
    kept = exists().where(jobs.c.input_id == inputs.c.id, jobs.c.expired_at.is_(None))
    received = select(func.coalesce(func.sum(inputs.c.bytes), 0)).where(owned(inputs, owner), kept)
    size = cast(jobs.c.result["bytes"].as_string(), BigInteger)
    there = and_(owned(jobs, owner), jobs.c.expired_at.is_(None), jobs.c.result.is_not(None))
    results = select(func.coalesce(func.sum(size), 0)).where(there)
    return sum(int(connection.execute(query).scalar_one()) for query in (received, results))

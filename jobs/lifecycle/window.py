"""What is sent when: a small window of each job, so that the broker stays small and jobs share workers."""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, or_, select, update

from base.broker import Broker
from base.database import Database
from base.database.tables import chunks, jobs
from jobs.states import ChunkStatus, JobStatus

PLAN = "rowmill.plan"
SCORE = "rowmill.score"
FINISH = "rowmill.finish"


def window_size(live_workers: int) -> int:
    """Most chunks of one job that are sent or running at a time."""
    return max(4, 2 * live_workers)


def take_window(connection: Connection, job_id: str, window: int, now: float) -> list[int]:
    """Mark as sent, and return, the pending chunks of a job that fit its window; lowest numbers first.

    Chunks that wait for room on the disk keep their places, or all others would be tried in vain, too.
    """
    waits_for_room = and_(chunks.c.excused > 0, chunks.c.not_before > now)
    out = or_(
        chunks.c.status == ChunkStatus.RUNNING,
        and_(chunks.c.status == ChunkStatus.PENDING, or_(chunks.c.sent_at.is_not(None), waits_for_room)),
    )
    under_way = connection.execute(select(func.count()).where(chunks.c.job_id == job_id, out)).scalar_one()
    if under_way >= window:
        return []
    waiting = (
        select(chunks.c.index)
        .where(
            chunks.c.job_id == job_id,
            chunks.c.status == ChunkStatus.PENDING,
            chunks.c.sent_at.is_(None),
            or_(chunks.c.not_before.is_(None), chunks.c.not_before <= now),
        )
        .order_by(chunks.c.index)
        .limit(window - under_way)
    )
    indexes = list(connection.execute(waiting).scalars())
    if indexes:
        taken = and_(chunks.c.job_id == job_id, chunks.c.index.in_(indexes))
        connection.execute(update(chunks).where(taken).values(sent_at=now))
    return indexes


def open_window(database: Database, broker: Broker, job_id: str, window: int) -> None:
    """Send what fits into a job's window."""
    with database.writing() as connection:
        scoring = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.status == JobStatus.SCORING)
        if connection.execute(scoring).first() is None:
            return
        indexes = take_window(connection, job_id, window, database.now(connection))
    send_chunks(database, broker, job_id, indexes)


def send_chunks(database: Database, broker: Broker, job_id: str, indexes: list[int]) -> None:
    """Send chunks that are marked as sent; those that cannot go out are marked as not sent again."""
    for position, index in enumerate(indexes):
        if not broker.send(SCORE, job_id, index):
            unsent = and_(chunks.c.job_id == job_id, chunks.c.index.in_(indexes[position:]))
            with database.writing() as connection:
                still = and_(unsent, chunks.c.status == ChunkStatus.PENDING)
                connection.execute(update(chunks).where(still).values(sent_at=None))
            return


def send_step(database: Database, broker: Broker, task: str, job_id: str) -> None:
    """Send a job's planning or finishing, which is marked as sent; undo the mark if it cannot go out."""
    if not broker.send(task, job_id):
        with database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(sent_at=None))

"""What is sent when: few messages at a time, all jobs in turn, so that the broker stays small and jobs share.

The window is one for all jobs. With one for each, a small job would wait for the windows of all large ones.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, case, func, not_, select, update

from base.broker import Broker
from base.database import Database
from base.database.tables import chunks, jobs
from jobs.lifecycle.guards import pause_is_over
from jobs.states import ChunkStatus, JobStatus

PLAN = "rowmill.plan"
SCORE = "rowmill.score"
FINISH = "rowmill.finish"
# A small job passes large ones by so much; a stream of small ones holds a large one up for no longer.
HEAD_START_SECONDS = 5.0

Turn = tuple[str, int]
"""A chunk that is to be sent: the job's id, and the chunk's number."""


def window_size(live_workers: int) -> int:
    """Most chunks, of all jobs together, that are sent or running at a time."""
    return max(4, 2 * live_workers)


def take_window(connection: Connection, window: int, now: float) -> list[Turn]:
    """Mark as sent, and return, the chunks that fit the window: jobs in turn, lowest numbers first.

    First comes the job that has waited longest for its turn. One that never had any is taken to have waited
    for HEAD_START_SECONDS when it was planned: it goes before others, unless those have waited longer still.
    """
    free = window - _under_way(connection, window)
    waiting = _by_turn(connection, now) if free > 0 else []
    turns: list[Turn] = []
    while waiting and len(turns) < free:
        job_id = waiting.pop(0)
        index = _take_next(connection, job_id, window, now)
        if index is not None:
            turns.append((job_id, index))
            waiting.append(job_id)
    return turns


def _under_way(connection: Connection, window: int) -> int:
    """Chunks that are sent or running. What dead workers still hold counts no more than live ones could."""
    scoring = select(jobs.c.id).where(jobs.c.status == JobStatus.SCORING)
    count = select(func.count()).where(chunks.c.job_id.in_(scoring))
    running = connection.execute(count.where(chunks.c.status == ChunkStatus.RUNNING)).scalar_one()
    sent = and_(chunks.c.status == ChunkStatus.PENDING, chunks.c.sent_at.is_not(None))
    return int(connection.execute(count.where(sent)).scalar_one() + min(running, window // 2))


def _by_turn(connection: Connection, now: float) -> list[str]:
    scoring = select(jobs.c.id).where(jobs.c.status == JobStatus.SCORING)
    noted = func.coalesce(jobs.c.sent_at, jobs.c.started_at - HEAD_START_SECONDS)
    # a turn that is yet to come was noted by a wrong clock: without this the job would wait until then
    last_turn = case((noted <= now, noted), else_=0)
    return list(connection.execute(scoring.order_by(last_turn, jobs.c.id)).scalars())


def _take_next(connection: Connection, job_id: str, window: int, now: float) -> int | None:
    """Mark a job's next chunk as sent; None if none is due, or another worker is busy with the job.

    Chunks that wait for room on the disk keep their places, or all others would be tried in vain, too.
    """
    pending = and_(chunks.c.job_id == job_id, chunks.c.status == ChunkStatus.PENDING)
    due = pause_is_over(chunks.c.not_before, now)
    unsent = select(chunks.c.index).where(pending, chunks.c.sent_at.is_(None), due)
    index = connection.execute(unsent.order_by(chunks.c.index).limit(1)).scalar()
    if index is None:
        return None
    waits_for_room = and_(pending, chunks.c.index < index, chunks.c.excused > 0, not_(due))
    if connection.execute(select(func.count()).where(waits_for_room)).scalar_one() >= window:
        return None
    # never wait for a job's row: two workers that commit hold one each, and may want the other's; a claim's
    # new attempt refers to the row, which is no reason to pass the job over (key_share)
    free = select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(skip_locked=True, key_share=True)
    if connection.execute(free).first() is None:
        return None
    taken = and_(pending, chunks.c.index == index)
    if connection.execute(update(chunks).where(taken).values(sent_at=now)).rowcount != 1:
        return None  # claimed meanwhile, by a message that came late
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(sent_at=now))
    return int(index)


def open_window(database: Database, broker: Broker, window: int) -> None:
    """Send what fits into the window."""
    with database.writing() as connection:
        turns = take_window(connection, window, database.now(connection))
    send_chunks(database, broker, turns)


def send_chunks(database: Database, broker: Broker, turns: list[Turn]) -> None:
    """Send chunks that are marked as sent; those that cannot go out are marked as not sent again."""
    for position, (job_id, index) in enumerate(turns):
        if not broker.send(SCORE, job_id, index):
            _unmark(database, turns[position:])
            return


def _unmark(database: Database, turns: list[Turn]) -> None:
    with database.writing() as connection:
        for job_id, index in turns:
            this = and_(chunks.c.job_id == job_id, chunks.c.index == index)
            still = and_(this, chunks.c.status == ChunkStatus.PENDING)
            connection.execute(update(chunks).where(still).values(sent_at=None))


def send_step(database: Database, broker: Broker, task: str, job_id: str) -> None:
    """Send a job's planning or finishing, which is marked as sent; undo the mark if it cannot go out."""
    if not broker.send(task, job_id):
        with database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(sent_at=None))

"""The reconciler: finds work that was lost or left behind, and brings every job to its end.

Each rule is a function that reads the database, and Redis where it must, and writes guarded UPDATEs; several
caretakers may run at once. Nothing is sent again because of its age alone: a long queue is not a loss.
"""

from __future__ import annotations

import time
from typing import Any

import redis
import structlog
from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from base.database.tables import chunks, jobs, ticks, uploads, workers
from jobs.feedback.retention import forget_old_predictions
from jobs.lifecycle.chunks import close_lost
from jobs.lifecycle.ending import expire
from jobs.lifecycle.guards import fail_job, holder_is_dead, lease_is_over, pause_is_over, sent_before
from jobs.lifecycle.window import FINISH, PLAN, open_window, send_step, window_size
from jobs.orphans import remove_orphans
from jobs.reading import count_live_workers, last_tick
from jobs.records import Chunk, Job
from jobs.states import FINAL, ChunkStatus, JobStatus
from jobs.stores import Stores

log = structlog.get_logger()

STEPS = {JobStatus.QUEUED: PLAN, JobStatus.PLANNING: PLAN, JobStatus.FINISHING: FINISH}
# A younger chunk that was claimed this long ago has certainly overtaken one that is still waiting.
OVERTAKEN_SECONDS = 2.0
# A caretaker writes its number into the database, and within this time into Redis.
BETWEEN_WRITES_SECONDS = 1.0
# After this many intervals without a tick of anybody, workers tick in the caretaker's place.
SILENT_INTERVALS = 2
LEAST_SILENT_SECONDS = 5.0
ORPHAN_SWEEP_SECONDS = 3600.0
MEMORY_SECONDS = 24 * 3600.0


class Caretaker:
    """Runs all rules once a :meth:`tick`; remembers between ticks only what a tick compares with the last."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._empty_since: float | None = None
        self._swept_at = -ORPHAN_SWEEP_SECONDS

    def tick(self) -> None:
        """One round: time first, then losses, then sending, then tidying."""
        stores = self.stores
        end_overdue(stores)
        recover_chunks(stores)
        recover_steps(stores)
        end_exhausted(stores)
        try:
            self._recover_messages()
        except redis.RedisError as error:
            log.warning("redis not reached, jobs wait", reason=str(error))
            self._stay_seen()
        else:
            send_due(stores)
        expire_jobs(stores)
        forget_old_predictions(stores)
        if time.monotonic() - self._swept_at >= ORPHAN_SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            remove_orphans(stores)

    def stand_in(self) -> bool:
        """Tick if no caretaker did for a while: it is dead, or frozen, which no supervisor sees."""
        silent = last_tick(self.stores.database)
        patience = max(SILENT_INTERVALS * self.stores.settings.caretaker_seconds, LEAST_SILENT_SECONDS)
        if silent is not None and -patience <= silent <= patience:  # below 0: by a clock that was ahead
            return False
        log.warning("no caretaker is at work, standing in", silent_seconds=silent)
        self.tick()
        return True

    def _recover_messages(self) -> None:
        broker, database = self.stores.broker, self.stores.database
        remembered = broker.read_tick()
        with database.writing() as connection:
            now = database.now(connection)
            recorded, ticked_at = connection.execute(select(ticks.c.number, ticks.c.ticked_at)).first() or (
                None,
                0,
            )
            if remembered != recorded and 0 <= now - ticked_at < BETWEEN_WRITES_SECONDS:
                return  # another caretaker is between its two writes, or died there: the next look will tell
            if remembered is None or remembered != recorded:
                # Redis was wiped, replaced or restored from an old copy: every message may be gone
                count = forget_sent(connection, now, before=now)
                if count:
                    log.warning("redis lost its memory, sending again", messages=count)
            elif broker.queue_length() > 0:
                self._empty_since = None
            elif self._empty_since is None:
                self._empty_since = now
            else:
                # the queue was empty at the last tick too: what was sent before that and waits still is lost
                forget_sent(connection, now, before=self._empty_since)
                self._empty_since = now
            forget_overtaken(connection, now)
            number = _record_tick(connection, database.is_sqlite, now, step=1)
        broker.write_tick(number)

    def _stay_seen(self) -> None:
        """Without Redis there is no new number, but the caretaker is at work all the same."""
        database = self.stores.database
        with database.writing() as connection:
            _record_tick(connection, database.is_sqlite, database.now(connection), step=0)


def _record_tick(connection: Any, is_sqlite: bool, now: float, step: int) -> int:
    """Note that a caretaker is at work, and raise the number by ``step``; returns it."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    first = insert(ticks).values(id=1, number=step, ticked_at=now)
    values = {"number": ticks.c.number + step, "ticked_at": now}
    raised = first.on_conflict_do_update(index_elements=["id"], set_=values).returning(ticks.c.number)
    return int(connection.execute(raised).scalar_one())


def forget_sent(connection: Any, now: float, before: float) -> int:
    """Mark what was sent before a moment and not taken up as not sent; returns how many messages."""
    waiting = and_(chunks.c.status == ChunkStatus.PENDING, sent_before(chunks.c.sent_at, before, now))
    count = connection.execute(update(chunks).where(waiting).values(sent_at=None)).rowcount
    steps = and_(
        jobs.c.status.in_(STEPS),
        jobs.c.step_lease_until.is_(None),
        sent_before(jobs.c.sent_at, before, now),
    )
    return int(count + connection.execute(update(jobs).where(steps).values(sent_at=None)).rowcount)


def forget_overtaken(connection: Any, now: float) -> None:
    """Mark as not sent what still waits though younger messages of the queue were taken up."""
    newest = _newest_taken_up(connection, now)
    if newest is None:
        return
    overtaken = and_(chunks.c.status == ChunkStatus.PENDING, chunks.c.sent_at < newest - OVERTAKEN_SECONDS)
    connection.execute(update(chunks).where(overtaken).values(sent_at=None))
    step = and_(
        jobs.c.status.in_(STEPS),
        jobs.c.step_lease_until.is_(None),
        jobs.c.sent_at < newest - OVERTAKEN_SECONDS,
    )
    connection.execute(update(jobs).where(step).values(sent_at=None))


def _newest_taken_up(connection: Any, now: float) -> float | None:
    """When the youngest message was sent that was certainly taken up.

    Chunks of jobs that are being scored tell it, and every job that was ever planned: its first message was
    sent after the job was made. So it is known, too, while small jobs come and end between two ticks. What a
    clock that was ahead wrote down would be younger than all that is sent, and is left out.
    """
    certainly = now - OVERTAKEN_SECONDS
    chunk = (
        select(func.max(chunks.c.sent_at))
        .join(jobs, jobs.c.id == chunks.c.job_id)
        .where(
            jobs.c.status == JobStatus.SCORING,
            chunks.c.sent_at <= now,
            chunks.c.claimed_at < certainly,
        )
    )
    plan = (
        select(jobs.c.created_at)
        .where(jobs.c.created_at <= now, jobs.c.started_at < certainly)
        .order_by(jobs.c.id.desc())
        .limit(1)
    )
    found = [connection.execute(query).scalar() for query in (chunk, plan)]
    return max((moment for moment in found if moment is not None), default=None)


def end_overdue(stores: Stores) -> None:
    """Fail jobs whose deadline passed before they ended."""
    with stores.database.writing() as connection:
        now = stores.database.now(connection)
        overdue = select(jobs.c.id).where(jobs.c.deadline_at < now, jobs.c.status.not_in(FINAL))
        for job_id in connection.execute(overdue).scalars().all():
            message = "The job did not end before its deadline. Send it again with a longer one."
            fail_job(connection, job_id, now, {"code": "deadline_passed", "message": message})


def recover_chunks(stores: Stores) -> None:
    """Open chunks again whose worker fell silent or is dead; fail the job of one that was tried too often."""
    settings = stores.settings
    with stores.database.writing() as connection:
        now = stores.database.now(connection)
        scoring = select(jobs.c.id).where(jobs.c.status == JobStatus.SCORING)
        running = and_(chunks.c.job_id.in_(scoring), chunks.c.status == ChunkStatus.RUNNING)
        abandoned = and_(
            running,
            or_(
                lease_is_over(chunks.c.lease_until, now, settings.lease_seconds),
                holder_is_dead(connection, chunks.c.worker, running),
            ),
        )
        for chunk in Chunk.from_rows(connection.execute(select(chunks).where(abandoned)).all()):
            again = chunk.attempt - chunk.excused < settings.max_attempts
            values = {
                "status": ChunkStatus.PENDING if again else ChunkStatus.FAILED,
                "lease_until": None,
                "sent_at": None,
            }
            this = and_(chunks.c.job_id == chunk.job_id, chunks.c.index == chunk.index)
            # the condition once more: on Postgres a late worker may have committed since it was read
            if connection.execute(update(chunks).where(this, abandoned).values(values)).rowcount != 1:
                continue
            close_lost(connection, chunk.job_id, chunk.index, chunk.attempt, now)
            if not again:
                advice = "a smaller chunk_rows needs less memory"
                error = _lost_too_often(f"Chunk {chunk.index}", chunk.attempt, advice)
                fail_job(connection, chunk.job_id, now, error)


def recover_steps(stores: Stores) -> None:
    """The same for planning and finishing."""
    settings = stores.settings
    with stores.database.writing() as connection:
        now = stores.database.now(connection)
        held = and_(
            jobs.c.status.in_((JobStatus.PLANNING, JobStatus.FINISHING)),
            jobs.c.step_lease_until.is_not(None),
        )
        abandoned = and_(
            held,
            or_(
                lease_is_over(jobs.c.step_lease_until, now, settings.lease_seconds),
                holder_is_dead(connection, jobs.c.step_worker, held),
            ),
        )
        for job in Job.from_rows(connection.execute(select(jobs).where(abandoned)).all()):
            if job.step_attempt - job.step_excused < settings.max_attempts:
                values = {"step_lease_until": None, "sent_at": None}
                connection.execute(update(jobs).where(jobs.c.id == job.id, abandoned).values(values))
            else:
                advice = "a file that kills whoever reads it must be written again"
                error = _lost_too_often(f"The step '{job.status}'", job.step_attempt, advice)
                fail_job(connection, job.id, now, error, abandoned)


def end_exhausted(stores: Stores) -> None:
    """Fail jobs with waiting work that may not be tried again: the setting was lowered while they ran."""
    most = stores.settings.max_attempts
    tries, step_tries = chunks.c.attempt - chunks.c.excused, jobs.c.step_attempt - jobs.c.step_excused
    used_up = exists().where(
        chunks.c.job_id == jobs.c.id, chunks.c.status == ChunkStatus.PENDING, tries >= most
    )
    stuck = or_(
        and_(jobs.c.status == JobStatus.SCORING, used_up),
        and_(jobs.c.status.in_(STEPS), jobs.c.step_lease_until.is_(None), step_tries >= most),
    )
    with stores.database.writing() as connection:
        now = stores.database.now(connection)
        for job_id in connection.execute(select(jobs.c.id).where(stuck)).scalars().all():
            message = (
                f"Its work was tried as often as the setting max_attempts ({most}) allows. Send it again."
            )
            fail_job(connection, job_id, now, {"code": "attempts_used_up", "message": message}, stuck)


def _lost_too_often(what: str, attempts: int, advice: str) -> dict[str, Any]:
    return {
        "code": "worker_lost",
        "message": f"{what} lost its worker {attempts} times (killed, crashed or out of memory). "
        f"See the worker's log; {advice}.",
    }


def send_due(stores: Stores) -> None:
    """Send what is not sent: steps that wait, and chunks that fit into the window."""
    database, broker = stores.database, stores.broker
    with database.writing() as connection:
        now = database.now(connection)
        waiting = and_(
            jobs.c.status.in_(STEPS),
            jobs.c.sent_at.is_(None),
            jobs.c.step_lease_until.is_(None),
            pause_is_over(jobs.c.step_not_before, now),
        )
        due = connection.execute(
            update(jobs).where(waiting).values(sent_at=now).returning(jobs.c.id, jobs.c.status)
        )
        steps = [(row.id, STEPS[JobStatus(row.status)]) for row in due]
    for job_id, task in steps:
        send_step(database, broker, task, job_id)
    open_window(
        database, broker, window_size(count_live_workers(database, 3 * stores.settings.heartbeat_seconds))
    )


def expire_jobs(stores: Stores) -> None:
    """Remove the files of jobs whose time is over, and forget workers and uploads that are long gone."""
    database = stores.database
    with database.writing() as connection:
        now = database.now(connection)
        connection.execute(delete(workers).where(workers.c.seen_at < now - MEMORY_SECONDS))
        connection.execute(delete(uploads).where(uploads.c.lease_until < now - MEMORY_SECONDS))
        over = and_(jobs.c.expires_at < now, jobs.c.expired_at.is_(None), jobs.c.status.in_(FINAL))
        due = Job.from_rows(connection.execute(select(jobs).where(over)).all())
    for job in due:
        expire(database, stores.files, job)

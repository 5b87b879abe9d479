"""Any order of events that a job can meet, on the real transition functions: what must hold in all of them.

Workers are reduced to what they tell the database: they claim, renew, commit, fail, fall silent, and come
back after others took over. Chunks hold no rows of any file.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select

from base.database import Database
from base.database.tables import attempts, chunks, jobs
from base.files import Files
from base.formats import Span
from base.settings import Settings
from jobs.caretaker import Caretaker
from jobs.errors import LostLease
from jobs.lifecycle import chunks as chunk_moves
from jobs.lifecycle import ending, steps
from jobs.lifecycle.chunks import ScoredChunk
from jobs.lifecycle.window import FINISH, PLAN, SCORE, open_window, send_chunks, send_step
from jobs.records import Claim, Job, StepClaim
from jobs.states import FINAL, JOB_MOVES, ChunkStatus, JobStatus
from jobs.stores import Stores
from tests.builders import LEASE_SECONDS, OWNER, new_job
from tests.conftest import Clock
from tests.faults.hostile_broker import HostileBroker, Memory, Message

WINDOW = 4
MAX_ATTEMPTS = 8
ROWS = 7
MOST_JOBS = 3
# More rounds than any job can need: each try of each chunk waits for a lease and a pause at most.
MOST_ROUNDS = 400
EVENTS_AT_A_TIME = 12
# What happens often stands here several times.
EVENTS = (
    "a job is sent",
    *["a worker takes a message", "a worker is done", "a caretaker ticks"] * 4,
    *["a worker dies", "a worker oversleeps", "workers renew", "the broker starts"] * 2,
    "a lease passes",
    "a worker fails",
    "a job is cancelled",
    "a caretaker starts",
    "a message is lost",
    "a message is doubled",
    "the broker is wiped",
    "the broker is dumped",
    "the dump is restored",
    "the broker stops",
)


@dataclass(frozen=True)
class Seen:
    """A job as it was last seen."""

    status: JobStatus
    rows_done: int
    chunks: dict[int, ChunkStatus]


class LifecycleMachine(RuleBasedStateMachine):
    """Subclasses give the database: empty, with all tables."""

    database: Database
    clock: Clock
    settings: Settings
    files: Files

    def __init__(self) -> None:
        super().__init__()
        self.broker = HostileBroker()
        self.stores = Stores(self.settings, self.database, self.files, self.broker)
        self.caretakers = [Caretaker(self.stores), Caretaker(self.stores)]
        self.held: list[Claim | StepClaim] = []
        self.sizes: dict[str, int] = {}
        self.seen: dict[str, Seen] = {}
        self.dump = Memory()

    # Many events at a time, drawn evenly: hypothesis prefers short histories of few kinds of events, in which
    # nobody gets as far as committing what another took over.
    @rule(seed=st.integers(0, 2**32))
    def go_on(self, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(EVENTS_AT_A_TIME):
            self._happen(chance.choice(EVENTS), chance.randrange(10**6))

    def _happen(self, event: str, pick: int) -> None:
        match event:
            case "a job is sent" if self._unfinished() < MOST_JOBS:
                job = new_job(self.database)
                self.sizes[job.id] = pick % 7
                send_step(self.database, self.broker, PLAN, job.id)
            case "a job is cancelled" if self.sizes and pick % 10 == 0:
                ending.cancel(self.database, OWNER, list(self.sizes)[pick % len(self.sizes)])
            case "a lease passes":
                self.clock.advance(LEASE_SECONDS + 1)
            case "a caretaker ticks":
                self.clock.advance(5)
                self.caretakers[pick % 2].tick()
            case "a caretaker starts":
                self.caretakers[pick % 2] = Caretaker(self.stores)
            case _:
                self._work(event, pick)
                self._harm(event, pick)

    def _work(self, event: str, pick: int) -> None:
        queue = self.broker.memory.queue
        match event:
            case "a worker takes a message" if queue:
                claim = self._claim(queue.pop(pick % len(queue)))
                if claim is not None:
                    self.held.append(claim)
            case "a worker is done" if self.held:
                self._finish(self.held.pop(pick % len(self.held)))
            case "a worker dies" if self.held:
                self.held.pop(pick % len(self.held))
            case "a worker fails" if self.held:
                self._fail(self.held.pop(pick % len(self.held)), for_good=pick % 20 == 0)
            case "a worker oversleeps" if self.held:
                self._oversleep(self.held.pop(pick % len(self.held)))
            case "workers renew":
                self._renew()

    def _harm(self, event: str, pick: int) -> None:
        broker, queue = self.broker, self.broker.memory.queue
        match event:
            case "a message is lost" if queue:
                queue.pop(pick % len(queue))
            case "a message is doubled" if queue:
                queue.append(queue[pick % len(queue)])
            case "the broker is wiped":
                broker.memory = Memory()
            case "the broker is dumped":
                self.dump = broker.memory.copy()
            case "the dump is restored":
                broker.memory = self.dump.copy()
            case "the broker stops":
                broker.down = True
            case "the broker starts":
                broker.down = False

    def _unfinished(self) -> int:
        with self.database.reading() as connection:
            open_jobs = select(func.count()).select_from(jobs).where(jobs.c.status.not_in(FINAL))
            return int(connection.execute(open_jobs).scalar_one())

    def _oversleep(self, sleeper: Claim | StepClaim) -> None:
        """Its lease passes, others take what there is to be had, and then it wakes and hands in its work."""
        self.clock.advance(LEASE_SECONDS + 1)
        self.caretakers[0].tick()
        while self.broker.memory.queue:
            claim = self._claim(self.broker.memory.queue.pop(0))
            if claim is not None:
                self.held.append(claim)
        self._finish(sleeper)

    def _renew(self) -> None:
        for claim in self.held:
            if isinstance(claim, Claim):
                chunk_moves.renew(self.database, claim, LEASE_SECONDS)
            else:
                steps.renew(self.database, claim, LEASE_SECONDS)

    def _fail(self, claim: Claim | StepClaim, *, for_good: bool) -> None:
        retry_at = None if for_good or claim.attempt >= MAX_ATTEMPTS else self.clock.now + 5
        error = {"code": "attempt_failed", "message": "it failed"}
        if isinstance(claim, Claim):
            chunk_moves.release(self.database, claim, error, retry_at)
        else:
            steps.release(self.database, claim, error, retry_at)

    # what must hold

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        with self.database.reading() as connection:
            for job in connection.execute(select(jobs)).all():
                rows = connection.execute(select(chunks).where(chunks.c.job_id == job.id)).all()
                done = [row for row in rows if row.status == ChunkStatus.DONE]
                assert job.chunks_done == len(done)
                assert job.rows_done == ROWS * len(done)
                assert job.step_attempt <= MAX_ATTEMPTS
                assert all(row.attempt <= MAX_ATTEMPTS for row in rows)
                # the part that counts is the one of the attempt that the chunk names
                assert all(row.part["file"] == f"{row.index}-{row.attempt}" for row in done)
            same = (attempts.c.job_id, attempts.c.index)
            commits = select(func.count()).where(attempts.c.outcome == "done").group_by(*same)
            assert set(connection.execute(commits).scalars()) <= {1}

    @invariant()
    def nothing_goes_back(self) -> None:
        for job_id, now in self._look().items():
            before = self.seen.get(job_id)
            if before is not None:
                assert now.status in _reachable(before.status)
                assert now.rows_done >= before.rows_done
                for index, status in before.chunks.items():
                    if status == ChunkStatus.DONE and before.status != JobStatus.PLANNING:
                        assert now.chunks[index] == ChunkStatus.DONE
            self.seen[job_id] = now

    def teardown(self) -> None:
        """Whatever happened: once broker and workers are there, every job ends, and ends whole."""
        self.broker.down = False
        for _ in range(MOST_ROUNDS):
            if all(seen.status in FINAL for seen in self._look().values()):
                break
            while self.broker.memory.queue:
                claim = self._claim(self.broker.memory.queue.pop(0))
                if claim is not None:
                    self._finish(claim)
            self.clock.advance(5)
            self.caretakers[0].tick()
        self.nothing_is_counted_twice()
        self.nothing_goes_back()
        for job_id, seen in self._look().items():
            assert seen.status in FINAL, f"job {job_id} is stuck: {seen}"
            if seen.status == JobStatus.SUCCEEDED:
                assert seen.chunks == dict.fromkeys(range(self.sizes[job_id]), ChunkStatus.DONE)
                assert seen.rows_done == ROWS * self.sizes[job_id]

    # workers as the jobs room has them, without files and models

    def _claim(self, message: Message) -> Claim | StepClaim | None:
        limits = (LEASE_SECONDS, MAX_ATTEMPTS)
        match message.task, message.chunk:
            case (task, int(index)) if task == SCORE:
                return chunk_moves.claim(
                    self.database,
                    message.job_id,
                    index,
                    worker="w",
                    lease_seconds=LEASE_SECONDS,
                    max_attempts=MAX_ATTEMPTS,
                )
            case (task, _) if task == PLAN:
                return steps.claim_planning(self.database, message.job_id, *limits)
            case _:
                return steps.claim_finishing(self.database, message.job_id, *limits)

    def _finish(self, claim: Claim | StepClaim) -> None:
        try:
            if isinstance(claim, Claim):
                self._commit(claim)
            elif claim.job.status == JobStatus.PLANNING:
                self._plan(claim)
            else:
                steps.finished(self.database, claim, {"file": "r", "bytes": 1, "sha256": "0" * 64}, 3600.0)
        except LostLease:
            pass  # somebody else was faster, or the job is over: that is what the lease is for

    def _plan(self, claim: StepClaim) -> None:
        spans = [Span(10 * index, 10 * index + 10, None) for index in range(self.sizes[claim.job.id])]
        if steps.planned(self.database, claim, spans, steps.Prepared()) == JobStatus.FINISHING:
            send_step(self.database, self.broker, FINISH, claim.job.id)
        else:
            open_window(self.database, self.broker, WINDOW)

    def _commit(self, claim: Claim) -> None:
        part = {"file": f"{claim.chunk.index}-{claim.attempt}", "bytes": 1, "sha256": "0" * 64}
        scored = ScoredChunk(
            rows=ROWS,
            lines=ROWS,
            rows_failed=0,
            part={**part, "errors_file": None},
            error_counts={},
            preview=[],
        )
        done = chunk_moves.commit(self.database, claim, scored, WINDOW)
        send_chunks(self.database, self.broker, done.send_next)
        if done.finishing:
            send_step(self.database, self.broker, FINISH, claim.job.id)

    def _look(self) -> dict[str, Seen]:
        found = {}
        with self.database.reading() as connection:
            for job in Job.from_rows(connection.execute(select(jobs)).all()):
                query = select(chunks.c.index, chunks.c.status).where(chunks.c.job_id == job.id)
                states = {row[0]: ChunkStatus(row[1]) for row in connection.execute(query)}
                found[job.id] = Seen(JobStatus(job.status), job.rows_done, states)
        return found


def _reachable(status: JobStatus) -> set[JobStatus]:
    """The state itself, and all that may follow it."""
    found, todo = {status}, [status]
    while todo:
        new = JOB_MOVES[todo.pop()] - found
        found |= new
        todo += new
    return found

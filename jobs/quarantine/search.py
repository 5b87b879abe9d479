"""The search for the rows that kill a scorer: a span that dies is halved, down to one row, within a budget.

Time that a trial used well does not count: a chunk that is slow, and lost its process for other reasons, is
scored to its end. When the budget is used up, what is left gets one trial a span, undivided.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from base.formats import Span, count_rows, halves
from jobs.errors import Problem
from jobs.quarantine.process import QuarantineProcess
from jobs.quarantine.trials import Ending, Mode, Outcome, Piece, Trial, Trials, join, raised, rows_of
from jobs.records import Claim
from jobs.rows import place
from jobs.scoring import Scored
from jobs.workshop import Workshop

log = structlog.get_logger()

# A chunk that took its process with it this often is scored in quarantine from then on.
CRASHES_BEFORE = 2
MAX_DEATHS = 300
# Shares of the longest time that a chunk may take: the least that a trial gets while nothing is known of the
# rows' pace, the same once it is, all trials that died together, and the whole search.
FIRST_SHARE, TRIAL_SHARE, WASTED_SHARE, WHOLE_SHARE = 1 / 20, 1 / 80, 1 / 4, 0.6
LEAST_SECONDS = 3.0
# A span may take this many times what its rows and the loading of the model should cost before it counts as
# stuck; the loading is measured, so that a busy machine does not make healthy rows look stuck.
PATIENCE = 20
CODES = {
    Ending.KILLED: "scorer_crashed",
    Ending.MEMORY: "scorer_out_of_memory",
    Ending.TIME: "scorer_timed_out",
}


def score_in_quarantine(
    workshop: Workshop, held: Claim, alive: Callable[[], None]
) -> tuple[Scored, int | None]:
    """``rows.score_span``, for rows that may kill whoever scores them: those become row errors.

    Takes at most about two thirds of the setting ``max_chunk_seconds``.
    """
    log.warning("chunk in quarantine", job_id=held.job.id, chunk=held.chunk.index, crashes=held.crashes)
    with QuarantineProcess(Trials.described(workshop, held), alive) as process:
        search = _Search(workshop, held, process)
        search.load()
        return join(search.pieces())


@dataclass
class _Budget:
    """What is left to spend on trials that die."""

    wasted_seconds: float
    deaths: int
    deadline: float

    def spend(self, seconds: float) -> None:
        self.wasted_seconds -= seconds
        self.deaths -= 1

    @property
    def may_divide(self) -> bool:
        return self.wasted_seconds > 0 and self.deaths > 0 and time.monotonic() < self.deadline


class _Search:
    def __init__(self, workshop: Workshop, held: Claim, process: QuarantineProcess) -> None:
        self._shape, self._path, self._span = place(workshop, held)
        self._process = process
        self._reference = f"{held.job.model_name}@{held.job.model_version}"
        self._row_seconds = workshop.registry.get(
            held.job.model_name, held.job.model_version
        ).row_cost_seconds
        self._longest = workshop.settings.max_chunk_seconds
        self._least = self._longest * FIRST_SHARE
        self._load_seconds = 0.0
        self._budget = _Budget(
            self._longest * WASTED_SHARE, MAX_DEATHS, time.monotonic() + self._longest * WHOLE_SHARE
        )

    def load(self) -> None:
        """Raise ``Problem`` if nothing can be scored, because loading the model is what kills."""
        self._process.start()
        started = time.monotonic()
        outcome, _ = self._try(Trial(Mode.LOAD, self._span, self._longest * FIRST_SHARE))
        self._load_seconds = time.monotonic() - started
        if outcome.ending == Ending.TIME:
            raise RuntimeError(f"in quarantine: {self._reference} was not loaded in time")
        if outcome.died:
            raise Problem(
                "model_crashed",
                f"{self._reference} cannot be loaded: {_what_happened(outcome)}. See the worker's log; "
                "add the model again, or give scoring processes more memory.",
            )

    def pieces(self) -> list[Piece]:
        """All rows in order, scored or refused."""
        found: list[tuple[int, Piece]] = []
        # the widest first: the sooner a span is scored, the sooner it is known how long one may take
        todo = deque([self._span])
        alone: set[Span] = set()  # spans of one row that have died once
        while todo:
            span = todo.popleft()
            started = time.monotonic()
            rows = count_rows(self._path, self._shape, span)
            outcome, table = self._score(span, rows)
            taken = time.monotonic() - started
            if not outcome.died:
                self._learn(taken, rows)
                found.append((span.start, rows_of(outcome, table)))
                continue
            self._budget.spend(taken)
            parts = halves(self._path, self._shape, span)
            if not parts and span not in alone:
                alone.add(span)
                todo.append(span)  # once more: one death may be an accident
            elif parts and self._budget.may_divide:
                todo += parts
            else:
                found.append((span.start, self._refused(span, rows, outcome)))
        return [piece for _, piece in sorted(found, key=lambda item: item[0])]

    def _score(self, span: Span, rows: int) -> tuple[Outcome, bytes]:
        left = self._budget.deadline - time.monotonic()
        if left <= 0:
            return Outcome(Ending.TIME), b""
        generous = max(self._least, PATIENCE * (self._load_seconds + rows * self._row_seconds))
        return self._try(Trial(Mode.SCORE, span, max(LEAST_SECONDS, min(generous, left))))

    def _learn(self, taken: float, rows: int) -> None:
        """The first span that is scored is the widest, so it tells best what rows cost."""
        if self._least > self._longest * TRIAL_SHARE:
            self._least = self._longest * TRIAL_SHARE
            self._row_seconds = max(self._row_seconds, taken / max(rows, 1))

    def _refused(self, span: Span, rows: int, death: Outcome) -> Piece:
        """Row errors for a span that dies, read as far as that can be done."""
        code, message = CODES[death.ending], f"Scoring this row ended its process: {_what_happened(death)}."
        if rows > 1:
            code = "scorer_crash_unresolved"
            message = (
                f"One of {rows} rows of which at least one ends the process that scores it "
                f"({_what_happened(death)}); the search for it took too long. Send them again in a file of "
                "their own."
            )
        log.warning("rows given up", model=self._reference, rows=rows, code=code, reason=death.message)
        seconds = max(LEAST_SECONDS, self._longest * TRIAL_SHARE)
        outcome, table = self._try(Trial(Mode.REFUSE, span, seconds, code, message))
        if outcome.died:
            message = f"Reading this row ended its process: {_what_happened(outcome)}."
            outcome, table = self._try(Trial(Mode.BLANK, span, seconds, "reader_crashed", message))
        if outcome.died:
            raise RuntimeError(f"in quarantine: {_what_happened(outcome)}")
        return rows_of(outcome, table)

    def _try(self, trial: Trial) -> tuple[Outcome, bytes]:
        """Ask for a trial; an exception that ended it is raised here."""
        outcome, table = self._process.ask(trial)
        if outcome.ending in (Ending.CERTAIN, Ending.FAILED):
            raise raised(outcome)
        return outcome, table


def _what_happened(outcome: Outcome) -> str:
    if outcome.ending == Ending.MEMORY:
        return "it needs more memory than a scoring process may have"
    if outcome.ending == Ending.TIME:
        return "it was not done in time"
    return outcome.message

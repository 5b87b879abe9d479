"""One trial: a span of a claimed chunk that is scored, or refused; and how its outcome travels.

Everything that passes between processes is JSON and Arrow: nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

import pyarrow as pa

from base.formats import InputRefused, RowProblem, Span
from base.settings import Settings
from jobs.errors import Problem
from jobs.quarantine.refusing import blank_span, refuse_span
from jobs.records import Chunk, Claim, Input, Job
from jobs.rows import score_span
from jobs.scoring import RowsRefused, Scored
from jobs.unusual import total
from jobs.workshop import Workshop
from models.cache import ModelCache
from models.errors import ModelError
from models.loading import LoadedModel, load
from models.manifest import Manifest


class Mode(StrEnum):
    """What is tried, from the boldest to the safest."""

    LOAD = "load"  # nothing but the model
    SCORE = "score"
    REFUSE = "refuse"  # read, not scored
    BLANK = "blank"  # not even read


class Ending(StrEnum):
    """How a trial ended. After the first one there are rows, after the next two a reason, else a death."""

    DONE = "done"
    CERTAIN = "certain"  # an error that the same bytes bring again: code and message
    FAILED = "failed"  # another exception: message and, of an OSError, its number
    KILLED = "killed"  # by a signal, or by leaving: message
    MEMORY = "memory"
    TIME = "time"


@dataclass(frozen=True)
class Trial:
    """What is asked for. ``code`` and ``message`` are for rows that are refused."""

    mode: Mode
    span: Span
    seconds: float
    code: str = ""
    message: str = ""

    def to_bytes(self) -> bytes:
        """For the way to the other process."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What :meth:`to_bytes` gave."""
        values = json.loads(data)
        return cls(**{**values, "mode": Mode(values["mode"]), "span": Span(**values["span"])})


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, with what there is to say of it."""

    ending: Ending
    message: str = ""
    code: str = ""
    number: int | None = None
    lines: int | None = None
    problems: tuple[RowProblem, ...] = ()
    unusual: dict[str, int] = field(default_factory=dict)

    @property
    def died(self) -> bool:
        """Whether it took its process with it, or would have."""
        return self.ending in (Ending.KILLED, Ending.MEMORY, Ending.TIME)

    def to_bytes(self) -> bytes:
        """For the way back."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What :meth:`to_bytes` gave."""
        values = json.loads(data)
        problems = tuple(RowProblem(**problem) for problem in values["problems"])
        return cls(**{**values, "ending": Ending(values["ending"]), "problems": problems})


@dataclass(frozen=True)
class Piece:
    """Scored rows of a span, and its text lines."""

    scored: Scored
    lines: int | None


def join(pieces: Iterable[Piece]) -> tuple[Scored, int | None]:
    """Consecutive pieces as one chunk."""
    tables, problems, unusual, rows, lines = [], [], [], 0, 0
    counted = False
    for piece in pieces:
        unusual.append(piece.scored.unusual)
        problems += [problem.shifted(rows, lines) for problem in piece.scored.problems]
        tables.append(piece.scored.table)
        rows += len(piece.scored.table)
        lines += piece.lines or 0
        counted = piece.lines is not None
    return Scored(pa.concat_tables(tables), problems, total(unusual)), lines if counted else None


def _answer(piece: Piece) -> tuple[Outcome, bytes]:
    scored = piece.scored
    outcome = Outcome(Ending.DONE, lines=piece.lines, problems=tuple(scored.problems), unusual=scored.unusual)
    return outcome, to_arrow(scored.table)


def to_arrow(table: pa.Table) -> bytes:
    """A table for the way back."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_arrow(data: bytes) -> pa.Table:
    """What :func:`to_arrow` gave; checked, for it comes from a process that may have run wild."""
    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)
    return table


@dataclass(frozen=True)
class _OneVersion:
    """Loads the one model that is needed, without asking the database."""

    manifest: Manifest
    folder: Path

    def get(self, _name: str, _version: int) -> Manifest:
        return self.manifest

    def load(self, _name: str, _version: int) -> LoadedModel:
        return load(self.manifest, self.folder)


@dataclass(frozen=True)
class Trials:
    """A claimed chunk as the process in quarantine sees it."""

    workshop: Workshop
    held: Claim
    manifest: Manifest

    @staticmethod
    def described(workshop: Workshop, held: Claim) -> bytes:
        """All that :meth:`prepared` needs, for the way to the other process."""
        parts = {"job": held.job, "input": held.input, "chunk": held.chunk}
        records = {name: asdict(record) for name, record in parts.items()}
        return json.dumps({"settings": workshop.settings.model_dump(mode="json"), **records}).encode()

    @classmethod
    def prepared(cls, described: bytes) -> Self:
        """Look up what is needed; the model is not loaded yet, and no connection is open."""
        values = json.loads(described)
        job, source = Job(**values["job"]), Input(**values["input"])
        held = Claim(job, source, Chunk(**values["chunk"]), crashes=0)
        workshop = Workshop.open(Settings(**values["settings"]), worker="quarantine")
        manifest = workshop.registry.get(job.model_name, job.model_version)
        folder = workshop.registry.folder(job.model_name, job.model_version)
        workshop.close()
        models = ModelCache(_OneVersion(manifest, folder), limit_bytes=manifest.loaded_bytes)
        return cls(replace(workshop, models=models), held, manifest)

    def run(self, trial: Trial) -> tuple[Outcome, bytes]:
        """Try it here and now; what comes beside the outcome is the table, for :func:`from_arrow`."""
        try:
            piece = self._piece(trial)
            return (Outcome(Ending.DONE), b"") if piece is None else _answer(piece)
        except MemoryError:
            return Outcome(Ending.MEMORY), b""
        except (Problem, InputRefused, ModelError) as error:
            return Outcome(Ending.CERTAIN, error.message, error.code), b""
        except Exception as error:  # noqa: BLE001 - told to the worker, which raises it again
            number = error.errno if isinstance(error, OSError) else None
            return Outcome(Ending.FAILED, f"{type(error).__name__}: {error}"[:1000], number=number), b""

    def _piece(self, trial: Trial) -> Piece | None:
        span = trial.span
        chunk = replace(self.held.chunk, start=span.start, stop=span.stop, rows=span.rows)
        part = replace(self.held, chunk=chunk)
        reason = RowsRefused(trial.code, trial.message)
        match trial.mode:
            case Mode.LOAD:
                self.workshop.models.get(self.held.job.model_name, self.held.job.model_version)
                return None
            case Mode.SCORE:
                return Piece(*score_span(self.workshop, part, _go_on))
            case Mode.REFUSE:
                return Piece(*refuse_span(self.workshop, part, self.manifest, reason))
            case Mode.BLANK:
                return Piece(*blank_span(self.workshop, part, self.manifest, reason))


def _go_on() -> None:
    """The worker that waits for the outcome asks about the lease."""


def raised(outcome: Outcome) -> Exception:
    """The exception that a trial ended with, as far as it can be told from outside."""
    if outcome.ending == Ending.CERTAIN:
        return Problem(outcome.code, outcome.message)
    if outcome.number is not None:
        return OSError(outcome.number, outcome.message)
    return RuntimeError(f"in quarantine: {outcome.message}")


def rows_of(outcome: Outcome, table: bytes) -> Piece:
    """The rows that a trial scored or refused."""
    return Piece(Scored(from_arrow(table), list(outcome.problems), outcome.unusual), outcome.lines)

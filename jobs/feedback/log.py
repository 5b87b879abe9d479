"""The log of single predictions: whoever answers leaves a note in memory, a thread writes many notes at once.

So a prediction never waits for the database, not even for one that is away. The price: notes that wait are
lost with their process (the last second of it), and beyond :data:`MAX_WAITING` there is no room for more.
What had no room is counted, and its answer names no id.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from uuid6 import uuid7

from base.database import Database
from base.database.tables import lost_predictions, predictions
from jobs.feedback.labels import Kind, kind_of
from models.manifest import Label, Manifest, label_text

# About 10 MB of notes: some seconds of all that a process can answer, or minutes of a usual day.
MAX_WAITING = 20_000
WRITE_SECONDS = 1.0
# In one transaction, so that others who write wait for a moment only.
BATCH = 1000
HOUR_SECONDS = 3600
_AWAY = (OperationalError, InterfaceError, PoolTimeout)

log = structlog.get_logger()

Lost = tuple[str, str, int, int]


class Note(NamedTuple):
    """A row of ``predictions`` before it is one."""

    id: str
    owner: str
    key: str | None
    model_name: str
    model_version: int
    made_at: float
    kind: Kind
    prediction: str | None

    @property
    def hour(self) -> int:
        """What it is counted under."""
        return int(self.made_at // HOUR_SECONDS)

    @property
    def lost_as(self) -> Lost:
        """Where it is counted if it is lost."""
        return self.owner, self.model_name, self.model_version, self.hour


class PredictionLog:
    """Notes of one process. Nothing is started before the first one, so it may be made before a fork."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._kind = sqlite.insert if database.is_sqlite else postgresql.insert
        self._waiting: deque[Note] = deque()
        self._lost: Counter[Lost] = Counter()
        self._changing = threading.Lock()  # of what add changes; never held for long
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._stopped = threading.Event()
        self._is_away = False

    def add(self, owner: str, key: str | None, manifest: Manifest, prediction: Label | None) -> str | None:
        """Note a prediction and return its id; None if there is no room. Waits for nothing."""
        text = None if prediction is None else label_text(prediction)
        kind = kind_of(manifest)
        note = Note(str(uuid7()), owner, key, manifest.name, manifest.version, self._clock(), kind, text)
        with self._changing:
            if len(self._waiting) >= MAX_WAITING:
                self._lost[note.lost_as] += 1
                return None
            self._waiting.append(note)
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="prediction log", daemon=True)
                self._writer.start()
                atexit.register(self.close)
        return note.id

    def flush(self) -> None:
        """Write all that waits now; what the database does not take at this moment goes on waiting."""
        with self._writing:
            left = len(self._waiting)
            while left > 0 or self._lost:
                if not self._write([self._waiting.popleft() for _ in range(min(left, BATCH))]):
                    return
                left -= BATCH

    def close(self) -> None:
        """Write what waits, and no more after it."""
        self._stopped.set()
        atexit.unregister(self.close)
        if self._writer is not None:
            self._writer.join(2 * WRITE_SECONDS)
        self.flush()

    def _run(self) -> None:
        while not self._stopped.wait(WRITE_SECONDS):
            self.flush()

    def _write(self, notes: Sequence[Note]) -> bool:
        """Write notes and what was lost; False if they wait again, because the database is away."""
        with self._changing:
            lost, self._lost = self._lost, Counter()
        try:
            with self._database.writing() as connection:
                self._insert(connection, notes)
                for where, count in lost.items():
                    self._count_lost(connection, where, count)
        except _AWAY as error:
            self._keep(notes, lost, error)
            return False
        except (SQLAlchemyError, ValueError) as error:  # something about these notes, or one of them
            with self._changing:
                self._lost.update(lost)
            return self._write_singly(notes, error)
        if self._is_away or lost:
            log.warning("predictions are logged again", lost=sum(lost.values()))
        self._is_away = False
        return True

    def _write_singly(self, notes: Sequence[Note], error: Exception) -> bool:
        """So that others are not lost with a note that the database does not take."""
        if len(notes) > 1:
            written = [self._write([note]) for note in notes]
            return all(written)
        log.error("prediction not logged", reason=str(error))
        with self._changing:
            self._lost.update(note.lost_as for note in notes)
        return False

    def _keep(self, notes: Sequence[Note], lost: Counter[Lost], error: Exception) -> None:
        with self._changing:
            self._waiting.extendleft(reversed(notes))
            self._lost.update(lost)
        if not self._is_away:
            log.warning("predictions wait to be logged", count=len(self._waiting), reason=str(error))
        self._is_away = True

    def _insert(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Notes that are there already are from a commit whose answer was lost."""
        rows: list[dict[str, Any]] = [{**note._asdict(), "hour": note.hour} for note in notes]
        if rows:
            connection.execute(self._kind(predictions).on_conflict_do_nothing(), rows)

    def _count_lost(self, connection: Connection, where: Lost, count: int) -> None:
        keys = ("owner", "model_name", "model_version", "hour")
        first = self._kind(lost_predictions).values(**dict(zip(keys, where, strict=True)), count=count)
        more = {"count": lost_predictions.c.count + count}
        connection.execute(first.on_conflict_do_update(index_elements=keys, set_=more))

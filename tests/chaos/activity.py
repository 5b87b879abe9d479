"""How much of the time a stack was at work while it was hurt: faults that hit idle processes show little."""

from __future__ import annotations

import threading
from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from base.database import Database
from base.database.tables import chunks, jobs
from jobs.states import ChunkStatus, JobStatus

LOOK_SECONDS = 0.5


class Activity(threading.Thread):
    """Counts the chunks that run, twice a second until ``over``."""

    def __init__(self, database: Database, over: threading.Event) -> None:
        super().__init__(name="activity", daemon=True)
        self.looks: Counter[int] = Counter()
        """How often so many chunks were running."""
        self._database = database
        self._over = over

    @property
    def share(self) -> float:
        """Looks that found a chunk running, of all; a chunk runs until its dead worker was noticed."""
        return 1 - self.looks[0] / max(1, self.looks.total())

    def run(self) -> None:
        """Look, and look again."""
        # a chunk whose job ended meanwhile stays as it was
        scoring = select(jobs.c.id).where(jobs.c.status == JobStatus.SCORING)
        running = select(func.count()).where(
            chunks.c.status == ChunkStatus.RUNNING, chunks.c.job_id.in_(scoring)
        )
        while not self._over.wait(LOOK_SECONDS):
            try:
                with self._database.reading() as connection:
                    self.looks[connection.execute(running).scalar_one()] += 1
            except SQLAlchemyError:  # the database is being hurt: nobody works now
                self.looks[0] += 1

"""The tasks: ids in, one call into the jobs room, nothing else. All rules live there.

A message is a hint. One of an unknown version is dropped: the caretaker sends it again once the workers that
understand it run.
"""

from __future__ import annotations

import structlog

from base.broker import MESSAGE_VERSION
from jobs.finishing import finish_job
from jobs.lifecycle.window import FINISH, PLAN, SCORE
from jobs.planning import plan_job
from jobs.running import run_chunk
from workers import app
from workers.process import workshop

log = structlog.get_logger()

# Planning decodes, and finishing joins, a whole file; a chunk has Celery's own, shorter limit.
STEP_SECONDS = 6 * 3600


@app.task(name=PLAN, time_limit=STEP_SECONDS)
def plan(v: int, job_id: str) -> None:
    """Cut a job into chunks."""
    if _understood(v):
        plan_job(workshop(), job_id)


@app.task(name=SCORE)
def score(v: int, job_id: str, chunk: int) -> None:
    """Score one chunk."""
    if _understood(v):
        run_chunk(workshop(), job_id, chunk)


@app.task(name=FINISH, time_limit=STEP_SECONDS)
def finish(v: int, job_id: str) -> None:
    """Join a job's parts."""
    if _understood(v):
        finish_job(workshop(), job_id)


def _understood(version: int) -> bool:
    if version != MESSAGE_VERSION:
        log.warning("message of another version dropped", version=version)
    return version == MESSAGE_VERSION

"""The sweep: files that no row names, left by processes that died between a file and its commit.

Only what is old goes: an upload, a planning step or an attempt that still runs has its files and no row yet.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog
from sqlalchemy import select

from base.database.tables import chunks, job_labels, jobs
from base.files import ORPHAN_AGE_SECONDS
from jobs.lifecycle.ending import input_folder, job_folder
from jobs.states import FINAL, JobStatus
from jobs.stores import Stores

log = structlog.get_logger()


def remove_orphans(stores: Stores) -> None:
    """Remove old folders that belong to no job, and old files in the folders of jobs that have ended."""
    oldest = time.time() - ORPHAN_AGE_SECONDS
    for path in [*_strange_folders(stores), *_strange_files(stores)]:
        name = str(path.relative_to(stores.files.root))
        with contextlib.suppress(FileNotFoundError):  # another caretaker may be faster
            if path.stat().st_mtime > oldest:
                continue
            log.info("orphan removed", file=name)
            if path.is_dir():
                stores.files.remove_folder(name)
            else:
                stores.files.remove(name)


def _strange_folders(stores: Stores) -> Iterator[Path]:
    with stores.database.reading() as connection:
        kept = connection.execute(select(jobs.c.id, jobs.c.input_id).where(jobs.c.expired_at.is_(None)))
        known = {folder for row in kept for folder in (job_folder(row.id), input_folder(row.input_id))}
    for folder in ("inputs", "jobs", "staging"):
        for path in (stores.files.root / folder).glob("*"):
            if f"{folder}/{path.name}" not in known:
                yield path


def _strange_files(stores: Stores) -> Iterator[Path]:
    """What attempts that died left beside the files of a job: a part or result that was never committed."""
    query = select(jobs.c.id, jobs.c.status, jobs.c.result)
    with stores.database.reading() as connection:
        ended = connection.execute(query.where(jobs.c.status.in_(FINAL), jobs.c.expired_at.is_(None))).all()
    for job in ended:
        named = _named(stores, job.id, joined=job.status == JobStatus.SUCCEEDED)
        if job.result:
            named |= {job.result["file"], *_labels(stores, job.id)}
        for path in stores.files.path(job_folder(job.id)).rglob("*.*"):
            if str(path.relative_to(stores.files.root)) not in named:
                yield path


def _labels(stores: Stores, job_id: str) -> Sequence[str]:
    """The file of what is known of a job's rows, if something is."""
    with stores.database.reading() as connection:
        query = select(job_labels.c.file).where(job_labels.c.job_id == job_id)
        return connection.execute(query).scalars().all()


def _named(stores: Stores, job_id: str, *, joined: bool) -> set[str]:
    """The files of a job's chunks; its parts are no longer needed once they are joined."""
    with stores.database.reading() as connection:
        parts = connection.execute(select(chunks.c.part).where(chunks.c.job_id == job_id)).scalars()
        wanted = ("errors_file",) if joined else ("file", "errors_file")
        return {part[kind] for part in parts if part for kind in wanted if part[kind]}

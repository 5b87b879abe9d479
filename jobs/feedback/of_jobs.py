"""Labels of a job's rows: joined to its result, kept beside it, and counted in one row of the database."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from base.database import Database
from base.database.tables import EVERYBODY, job_labels, jobs, versions
from jobs import reading
from jobs.errors import Problem
from jobs.feedback.joining import joined, measure
from jobs.feedback.labels import kind_of
from jobs.feedback.log import HOUR_SECONDS
from jobs.feedback.measured import Measured
from jobs.feedback.pieces import Result
from jobs.feedback.sent import Sent, Tally
from jobs.lifecycle.ending import job_folder
from jobs.records import Job
from jobs.states import JobStatus
from jobs.stores import Stores
from models.manifest import Manifest

# Others may send labels of the same job at the same time; then it is done again on what they left.
TRIES = 5


class Known(NamedTuple):
    """What is in the database of a job's labels."""

    file: str
    revision: int


class Labelled(NamedTuple):
    """What became of labels that were sent, and what is known of their job after it."""

    tally: Tally
    measured: Measured


def result_of(stores: Stores, job: Job, key_column: str | None) -> Result:
    """The result of ``job``, to join labels to.

    ``key_column`` is a kept column of it, if labels are joined by key. Raises ``Problem``: ``not_finished``,
    ``result_expired``, ``several_outputs``, ``unknown_column``, ``unknown_version``.
    """
    if job.status != JobStatus.SUCCEEDED or job.result is None:
        raise Problem("not_finished", f"Job {job.id} is {job.status}; labels are for jobs that succeeded.")
    _refuse_expired(job)
    kept = job.options["keep"]
    if key_column is not None and key_column not in kept:
        has = f"it kept {', '.join(kept)[:500]}" if kept else "it kept none"
        advice = "submit with keep=, or join by row number"
        raise Problem(
            "unknown_column",
            f"The result of job {job.id} has no kept column {key_column!r} ({has}); {advice}.",
        )
    manifest = _manifest(stores.database, job)
    if len(manifest.targets) > 1:
        raise Problem("several_outputs", f"{manifest.reference} has several outputs; labels are for one.")
    path = stores.files.path(job.result["file"])
    return Result(path, kind_of(manifest), manifest.targets[0].classes or (), key_column)


def label_job(stores: Stores, job: Job, result: Result, sent: Sent) -> Labelled:
    """Join labels to the result of ``job``.

    Raises ``Problem``: ``row_count``, ``no_label_fits``, ``busy``, and ``job_not_found`` or
    ``result_expired`` for one that ends meanwhile.
    """
    for _ in range(TRIES):
        known = _known(stores.database, job.id)
        try:
            done = _join_once(stores, job, result, known, sent)
        except Problem:
            _refuse_gone(stores, job)
            if _known(stores.database, job.id) == known:
                raise
            continue  # the labels that were known so far were replaced meanwhile
        if done is not None:
            return done
        _refuse_gone(stores, job)
    raise Problem("busy", f"Others send labels of job {job.id} all the time; send these again.")


def _join_once(stores: Stores, job: Job, result: Result, known: Known | None, sent: Sent) -> Labelled | None:
    """None if somebody else was faster."""
    files, tally = stores.files, Tally()
    with joined(files, result, files.path(known.file) if known else None, sent, tally) as draft:
        _refuse_misfits(job, result, sent, tally)
        measured = measure(result, draft)
        file = files.keep(draft, f"{job_folder(job.id)}/labels-{uuid7()}.parquet")
    # a commit whose answer is lost may have come through: then the file stays, and the caretaker decides
    if not _commit(stores.database, job, result, known, measured=measured, file=file):
        files.remove(file)
        return None
    if known is not None:
        files.remove(known.file)
    return Labelled(tally, measured)


def _refuse_gone(stores: Stores, job: Job) -> None:
    """Raise ``Problem`` if the job was deleted or expired; what came too late goes as its files did."""
    try:
        _refuse_expired(reading.find_job(stores.database, EVERYBODY, job.id))
    except Problem:
        stores.files.remove_folder(job_folder(job.id))
        raise


def _refuse_expired(job: Job) -> None:
    if job.expired_at is not None:
        raise Problem("result_expired", f"The result of job {job.id} is gone, and its labels with it.")


def _known(database: Database, job_id: str) -> Known | None:
    query = select(job_labels.c.file, job_labels.c.revision).where(job_labels.c.job_id == job_id)
    with database.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else Known(row.file, row.revision)


def _commit(
    database: Database, job: Job, result: Result, known: Known | None, *, measured: Measured, file: str
) -> bool:
    """Whether the job is still there, and nobody else changed the labels since they were ``known``."""
    values: dict[str, Any] = {**asdict(measured), "file": file}
    try:
        with database.writing() as connection:
            if not _is_kept(connection, job):
                return False
            values["labelled_at"] = database.now(connection)
            if known is None:
                connection.execute(insert(job_labels).values(**values, **_place(job, result), revision=1))
                return True
            same = and_(job_labels.c.job_id == job.id, job_labels.c.revision == known.revision)
            newer = update(job_labels).where(same).values(**values, revision=known.revision + 1)
            return connection.execute(newer).rowcount == 1
    except IntegrityError:  # somebody else's labels are there
        return False


def _is_kept(connection: Connection, job: Job) -> bool:
    """Whether the job has not expired; whoever lets it, or deletes it, waits for this transaction."""
    query = select(jobs.c.expired_at).where(jobs.c.id == job.id).with_for_update(read=True)
    row = connection.execute(query).first()
    return row is not None and row.expired_at is None


def _place(job: Job, result: Result) -> dict[str, Any]:
    """Where the job counts."""
    return {
        "job_id": job.id,
        "owner": job.owner,
        "model_name": job.model_name,
        "model_version": job.model_version,
        "hour": int((job.finished_at or 0.0) // HOUR_SECONDS),
        "kind": result.kind,
    }


def _manifest(database: Database, job: Job) -> Manifest:
    """Of the job's version, even a retired one."""
    this = and_(versions.c.name == job.model_name, versions.c.version == job.model_version)
    with database.reading() as connection:
        found = connection.execute(select(versions.c.manifest).where(this)).scalar()
    if found is None:
        raise Problem("unknown_version", f"{job.model_name}@{job.model_version} was removed.")
    return Manifest.model_validate(found)


def _refuse_misfits(job: Job, result: Result, sent: Sent, tally: Tally) -> None:
    """What can only be a mistake: nothing is kept of it."""
    if sent.by == "order" and tally.sent != job.rows_done:
        raise Problem(
            "row_count",
            f"{tally.sent} labels were sent without keys for the {job.rows_done} rows of job {job.id}. Name "
            "the column of the keys (key=) or of the row numbers (row=), or send a label for each row.",
        )
    if tally.sent and tally.sent == tally.unusable:
        raise Problem(
            "no_label_fits", f"None of the labels is a {result.kind}: {_quoted(tally.unusable_labels)}."
        )
    if tally.joined and tally.joined == tally.unseen:
        known = ", ".join(map(str, result.classes[:10]))
        raise Problem(
            "no_label_fits",
            f"None of the labels is a class of the model ({known}): {_quoted(tally.unseen_labels)}.",
        )


def _quoted(labels: list[str]) -> str:
    return ", ".join(map(repr, labels[:5])) or "they are empty"

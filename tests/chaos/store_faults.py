"""A disk that is full, bytes that change on it, and a Postgres that goes away."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from sqlalchemy import select

from base.database.tables import chunks, inputs, jobs
from jobs.states import FINAL, ChunkStatus, JobStatus
from tests.chaos.postgres_server import PostgresServer
from tests.chaos.victim import PAUSES_SECONDS, Missed, Victim
from tests.freezing import stopped


def _fill_disk(victim: Victim) -> None:
    with victim.around.disk.full():
        victim.pause()


def _flip(path: Path, victim: Victim) -> None:
    size = path.stat().st_size
    if not size:  # cut short before
        raise Missed
    with path.open("r+b") as file:
        place = victim.chance.randrange(size)
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 0xFF]))


def _truncate(path: Path, victim: Victim) -> None:
    os.truncate(path, victim.chance.randrange(max(1, path.stat().st_size)))


Damage = Callable[[Path, Victim], None]


def _hurt_part(damage: Damage, victim: Victim) -> None:
    """One committed part of a job that is not joined yet."""
    unjoined = jobs.c.status.in_((JobStatus.SCORING, JobStatus.FINISHING))
    query = (
        select(jobs.c.id, chunks.c.part)
        .join(chunks, chunks.c.job_id == jobs.c.id)
        .where(unjoined, chunks.c.status == ChunkStatus.DONE)
        .order_by(jobs.c.id, chunks.c.index)
    )
    with victim.around.database.reading() as connection:
        found = connection.execute(query).all()
    if not found:
        raise Missed
    chosen = victim.chance.choice(found)
    _hurt(damage, victim, chosen.id, chosen.part["file"])


def _hurt_input(damage: Damage, victim: Victim) -> None:
    """The stored input of a job that has not ended; a small one is gone before it can be hurt."""
    query = (
        select(jobs.c.id, inputs.c.file)
        .join(inputs, inputs.c.id == jobs.c.input_id)
        .where(jobs.c.status.not_in(FINAL))
        .order_by(jobs.c.id)
    )
    with victim.around.database.reading() as connection:
        found = connection.execute(query).all()
    if not found:
        raise Missed
    chosen = victim.chance.choice(found)
    _hurt(damage, victim, chosen.id, chosen.file)


def _hurt(damage: Damage, victim: Victim, job_id: str, name: str) -> None:
    path = victim.around.disk.folder / name
    if not path.exists():
        raise Missed
    victim.around.hurt[job_id] = name  # noted first: from now on the job may fail
    damage(path, victim)


def _postgres(victim: Victim) -> PostgresServer:
    server = victim.around.postgres
    if server is None:
        raise TypeError("a fault of Postgres was drawn in a run on SQLite")
    return server


def _restart_postgres(victim: Victim) -> None:
    _postgres(victim).restart_at_once(victim.around.over, victim.chance.choice(PAUSES_SECONDS))


def _end_sessions(victim: Victim) -> None:
    if not _postgres(victim).end_sessions():
        raise Missed


def _freeze_session(victim: Victim) -> None:
    sessions = _postgres(victim).sessions()
    if not sessions:
        raise Missed
    with stopped(psutil.Process(victim.chance.choice(sessions))):
        victim.pause()


FAULTS: dict[str, Callable[[Victim], None]] = {
    "byte of a part flipped": partial(_hurt_part, _flip),
    "part cut short": partial(_hurt_part, _truncate),
    "byte of an input flipped": partial(_hurt_input, _flip),
    "input cut short": partial(_hurt_input, _truncate),
}
OWN_DISK_FAULTS: dict[str, Callable[[Victim], None]] = {"disk full": _fill_disk}
POSTGRES_FAULTS: dict[str, Callable[[Victim], None]] = {
    "Postgres restarted at once": _restart_postgres,
    "database sessions ended": _end_sessions,
    "database session frozen": _freeze_session,
}

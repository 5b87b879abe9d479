"""Locks that others hold, forks, commits whose answer is lost, and many who do the same at once."""

from __future__ import annotations

import os
import sqlite3
import threading

import pytest
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.exc import OperationalError

from base.database import Database, engine
from base.database.tables import workers
from jobs import reading
from jobs.caretaker import Caretaker
from jobs.finishing import finish_job
from jobs.lifecycle.window import window_size
from jobs.workshop import Workshop
from tests.builders import OWNER, planned_job
from tests.conftest import Clock
from tests.contract.conftest import Served
from workers import process, tasks

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHILDREN, TURNS = 4, 10
CARETAKERS, PENDING = 3, 20_000


def write(database: Database, name: str) -> None:
    with database.writing() as connection:
        connection.execute(select(workers)).all()
        connection.execute(insert(workers).values(name=name, started_at=0.0, seen_at=0.0))


@on_sqlite
def test_a_writer_waits_for_a_lock_that_another_holds(database: Database) -> None:
    holder = sqlite3.connect(make_url(database.url).database or "", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    writer = threading.Thread(target=write, args=(database, "late"))
    writer.start()
    with database.reading() as connection:
        assert connection.execute(select(workers)).all() == []
    holder.execute("COMMIT")
    holder.close()
    writer.join()
    with database.reading() as connection:
        assert connection.execute(select(workers.c.name)).scalars().all() == ["late"]


@on_sqlite
def test_a_lock_that_is_never_given_back_is_an_error(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0.1)
    impatient = Database(database.url)
    with database.writing(), pytest.raises(OperationalError, match="locked"):
        write(impatient, "never")
    impatient.dispose()


def test_forked_processes_open_their_own_connections(database: Database) -> None:
    write(database, "parent")
    children = []
    for child in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            own = Database(database.url)
            for turn in range(TURNS):
                write(own, f"{child}-{turn}")
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * CHILDREN
    write(database, "parent again")
    with database.reading() as connection:
        assert len(connection.execute(select(workers)).all()) == CHILDREN * TURNS + 2
        if database.is_sqlite:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_a_commit_whose_answer_is_lost_counts_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    job = served.submit()
    served.plan(job)
    database = served.workshop.database
    dialect = database._engine.dialect
    commit, error = dialect.do_commit, dialect.loaded_dbapi.OperationalError
    commits = []

    def commit_and_lose(connection: object) -> None:
        commit(connection)  # type: ignore[arg-type]
        commits.append(1)
        # the first one is the claim, the second one that of the scored rows
        if len(commits) == 2:
            raise error("server closed the connection unexpectedly")

    monkeypatch.setattr(dialect, "do_commit", commit_and_lose)
    with pytest.raises(OperationalError):
        served.score(job, 0)
    monkeypatch.undo()
    chunk = reading.list_chunks(database, job["id"])[0]
    assert (chunk.status, chunk.attempt) == ("done", 1)
    assert served.job(job)["chunks"]["done"] == 1
    ended = served.work(job)
    assert (ended["status"], ended["rows"]["done"]) == ("succeeded", 100)


@on_sqlite
def test_of_four_who_finish_one_does(served: Served) -> None:
    job = served.submit()
    served.plan(job)
    served.score(job, 0, 1, 2, 3)
    barrier = threading.Barrier(4)

    def finish() -> None:
        barrier.wait()
        finish_job(served.workshop, job["id"])

    finishers = [threading.Thread(target=finish) for _ in range(4)]
    for finisher in finishers:
        finisher.start()
    for finisher in finishers:
        finisher.join()
    found = reading.find_job(served.workshop.database, OWNER, job["id"])
    assert (found.status, found.step_attempt) == ("succeeded", 1)
    assert len(list(served.workshop.files.path(f"jobs/{job['id']}").glob("result-*"))) == 1


@on_sqlite
def test_caretakers_of_a_huge_backlog_keep_the_queue_small(workshop: Workshop, clock: Clock) -> None:
    planned_job(workshop.database, PENDING)
    caretakers = [Caretaker(workshop) for _ in range(CARETAKERS)]
    for _ in range(5):
        for caretaker in caretakers:
            caretaker.tick()
        clock.advance(workshop.settings.caretaker_seconds)
        assert 0 < workshop.broker.queue_length() <= 2 * window_size(0)


@on_sqlite
@pytest.mark.parametrize(
    "message",
    [
        {"v": 99, "chunk": 0},
        {"v": 1, "chunk": 0, "job_id": "../../etc/passwd"},
        {"v": 1, "chunk": -1},
        {"v": 1, "chunk": 10**9},
    ],
    ids=str,
)
def test_a_forged_message_does_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, message: dict[str, object]
) -> None:
    monkeypatch.setattr(process, "_current", [served.workshop])
    job = served.submit()
    served.plan(job)
    tasks.score.run(**{"job_id": job["id"], **message})
    assert {
        (chunk.status, chunk.attempt) for chunk in reading.list_chunks(served.workshop.database, job["id"])
    } == {("pending", 0)}
    assert served.work(job)["status"] == "succeeded"

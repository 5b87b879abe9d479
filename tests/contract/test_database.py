"""What every other room expects of the database, on SQLite and on Postgres."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, insert, select

from base.database import Database
from base.database.engine import MIGRATIONS
from base.database.tables import inputs, metadata, workers
from jobs.errors import Problem
from jobs.records import Input
from tests.builders import OWNER
from tests.conftest import copy_of


def test_the_revisions_lead_to_the_tables(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of either kind without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rowmill.db'}"
    return copy_of(request.getfixturevalue("postgres_url"), "template0")


def test_inputs_of_the_first_revision_are_kept(empty_url: str) -> None:
    database = Database(empty_url)
    values = {
        "id": "1",
        "owner": OWNER,
        "name": "a.zip",
        "bytes": 1,
        "sha256": "0" * 64,
        "file": "inputs/1/received",
    }
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        first = Table("inputs", MetaData(), autoload_with=connection)
        connection.execute(insert(first).values(**values, shape={}, created_at=1.0))
    database.upgrade()
    with database.reading() as connection:
        kept = Input.from_row(connection.execute(select(inputs)).one())
    assert (kept.name, kept.index_file) == ("a.zip", None)
    with pytest.raises(Problem, match="Send it again"):
        _ = kept.member_index
    database.dispose()


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    database.upgrade()
    with database.reading() as connection:
        assert connection.execute(select(workers)).all() == []


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    def fail_after_writing() -> None:
        with database.writing() as connection:
            connection.execute(insert(workers).values(name="a", started_at=1.0, seen_at=1.0))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail_after_writing()
    with database.reading() as connection:
        assert connection.execute(select(workers)).all() == []


def test_writers_that_read_first_do_not_fail_each_other(database: Database) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                with database.writing() as connection:
                    connection.execute(select(workers)).all()
                    connection.execute(
                        insert(workers).values(name=f"{number}-{turn}", started_at=0.0, seen_at=0.0)
                    )
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as connection:
        assert len(connection.execute(select(workers)).all()) == 80

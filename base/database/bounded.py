"""A Postgres connection that does not wait for ever.

The server's own time-outs do not help when the server is frozen, or the network drops what is sent: nobody is
left to notice. So the client gives up by itself, and closes the connection, whose state nobody knows.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 5
# As long as a writer waits for SQLite's lock. The server gives up a little earlier, with a better reason.
ANSWER_TIMEOUT_SECONDS = 15.0
# A worker that was frozen in a transaction holds locks that others wait for.
IDLE_IN_TRANSACTION_SECONDS = 30.0


class BoundedConnection(psycopg.Connection[Any]):
    """Raises ``OperationalError`` when the server does not answer a statement in time."""

    answer_timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Run a conversation with the server to its end, or to the end of its time."""
        try:
            return super().wait(gen, interval, timeout or self.answer_timeout_seconds)
        except errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server did not answer within {self.answer_timeout_seconds:g} s"
            ) from error


class PatientConnection(BoundedConnection):
    """For migrations, which may take as long as they need."""

    answer_timeout_seconds = None


def server_options(connection: type[BoundedConnection]) -> str:
    """What the server is told when a connection is made."""
    bound = connection.answer_timeout_seconds
    statement_ms = 0 if bound is None else int(1000 * max(bound - 1, bound / 2))
    idle_ms = int(1000 * IDLE_IN_TRANSACTION_SECONDS)
    return f"-c statement_timeout={statement_ms} -c idle_in_transaction_session_timeout={idle_ms}"

"""Brings the database to the newest revision before anything relies on it."""

from __future__ import annotations

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from base.database import Database
from base.urls import without_password
from rowmill.stack.problem import StackProblem


def upgrade(url: str) -> None:
    """Make or upgrade the tables; raises StackProblem if the database cannot be used."""
    try:
        database = Database(url)
        database.upgrade()
        database.dispose()
    except (SQLAlchemyError, CommandError, OSError, ImportError) as error:  # the last: a missing driver
        raise StackProblem(
            f"The database at {without_password(url)} cannot be used ({str(error).splitlines()[0]}). "
            "Correct ROWMILL_DATABASE_URL; without it Rowmill keeps a SQLite file in the data folder."
        ) from error

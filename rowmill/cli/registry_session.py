"""The registry that `rowmill models …` works on: folder and database of the settings, no server needed."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from base.settings import Settings
from models.errors import ModelError
from rowmill.cli.exits import ExitCode, stop

if TYPE_CHECKING:
    from models.registry import Registry

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, one document a line.")]


def user() -> str:
    """Who is logged in; in a container that may be a number without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return f"uid {os.getuid()}"


@contextmanager
def opened_registry() -> Iterator[Registry]:
    """The registry of the settings; what it refuses becomes one line and an exit code."""
    # slow, because it brings scikit-learn along, and `rowmill --help` must answer at once
    import structlog  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    from base.database import Database  # noqa: PLC0415
    from models.registry import Registry  # noqa: PLC0415

    # stdout is for data; what stderr is may be another thing at the next command of a process
    structlog.configure(
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr), cache_logger_on_first_use=False
    )
    settings = Settings()
    database = Database(settings.database_url)
    try:
        database.upgrade()
        yield Registry(database, settings.data_dir / "models")
    except ModelError as refused:
        code = ExitCode.ALIAS_MOVED if refused.code == "alias_moved" else ExitCode.FAILED
        stop(f"{refused.message} ({refused.code})", code)
    except OperationalError as failed:
        stop(f"the database of the settings cannot be used: {failed.orig}", ExitCode.FAILED)
    finally:
        database.dispose()

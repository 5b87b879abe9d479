"""`rowmill`: the command line. Each file beside this one holds a family of commands.

Nothing that needs scikit-learn or Celery is imported here: `rowmill --help` must answer at once.
"""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

from rowmill.cli import (
    compare_commands,
    feedback_commands,
    job_commands,
    keys_commands,
    models_commands,
    score_commands,
    stack_commands,
)
from rowmill.cli.exits import Commands

app = typer.Typer(
    cls=Commands,
    name="rowmill",
    help="Score files of any size with scikit-learn models: one row in, one row out.",
    epilog="Exit codes: 0 succeeded, 1 failed, 2 usage, 3 row errors (--strict), 4 timeout, 5 no connection, "
    "6 a bar missed, 130 interrupted. The server is the setting ROWMILL_URL.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # a traceback with the values of variables could show a secret
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("rowmill"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Options of `rowmill` itself; each does its work in its own callback."""


score_commands.register(app)
job_commands.register(app)
compare_commands.register(app)
feedback_commands.register(app)
app.add_typer(models_commands.app, name="models")
app.add_typer(keys_commands.app, name="keys")
stack_commands.register(app)


def main() -> None:
    """Entry point of the `rowmill` script."""
    app()

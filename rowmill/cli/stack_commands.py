"""`rowmill up`, `rowmill doctor` and `rowmill config`: the commands for whoever runs a stack."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr, ValidationError

from base.settings import Settings, sources
from base.urls import without_password
from rowmill.cli.exits import ExitCode, stop


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(doctor)
    app.command()(config)
    app.command()(upgrade)


def up(
    port: Annotated[int | None, typer.Option(help="Port of the API; 0 picks a free one.")] = None,
    flower_port: Annotated[int | None, typer.Option(help="Port of Flower; 0 picks a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything that is kept.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of scoring processes.")] = None,
) -> None:
    """Start the whole stack here and keep it running until Ctrl-C."""
    # The stack brings Celery, SQLAlchemy and HTTP along; the other commands start without them.
    from rowmill.cli.banner import banner  # noqa: PLC0415
    from rowmill.stack import Stack, StackProblem  # noqa: PLC0415

    settings = _settings(port=port, flower_port=flower_port, data_dir=data_dir, workers=workers)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    typer.echo(f"Starting Rowmill in {settings.data_dir} …")
    try:
        with Stack(settings) as stack:
            typer.echo(banner(stack))
            stack.wait()
            stop("the supervisor has ended unexpectedly, and the stack with it", ExitCode.FAILED)
    except StackProblem as problem:
        stop(str(problem), ExitCode.USAGE)
    except KeyboardInterrupt:
        typer.echo("Stopped.")


def doctor(
    checks: Annotated[
        list[str] | None,
        typer.Argument(help="folder, redis, database, worker, caretaker, models, keys, port."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what a stack needs, or only the things named, and say how to mend what is wrong."""
    from rowmill.stack.doctor import CHECKS, examine  # noqa: PLC0415 - loads scikit-learn

    if unknown := [name for name in checks or [] if name not in CHECKS]:
        stop(f"no check {unknown[0]}; the checks are {', '.join(CHECKS)}", ExitCode.USAGE)
    findings = examine(_settings(), checks or ())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check:<10} {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def upgrade() -> None:
    """Bring the database to the newest revision; `rowmill up` does it by itself."""
    from rowmill.stack import StackProblem  # noqa: PLC0415
    from rowmill.stack.upgrade import upgrade as upgrade_database  # noqa: PLC0415

    settings = _settings()
    try:
        upgrade_database(settings.database_url)
    except StackProblem as problem:
        stop(str(problem), ExitCode.USAGE)


def config(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print each setting, its value and where that comes from; secrets are hidden."""
    settings, came_from = _settings(), sources()
    rows = [
        {
            "setting": f"ROWMILL_{name.upper()}",
            "value": _shown(getattr(settings, name)),
            "source": came_from[name],
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    name_width = max(len(str(row["setting"])) for row in rows)
    value_width = max(len(str(row["value"])) for row in rows)
    for row in rows:
        typer.echo(f"{row['setting']:<{name_width}}  {row['value']!s:<{value_width}}  {row['source']}")


def _settings(**options: Any) -> Settings:
    """The settings, with the options that were given instead of the environment's values."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0]) if wrong["loc"] else ""
        if options.get(name) is None:
            raise  # a setting of the environment, which every command tells in the same words
        stop(f"--{name.replace('_', '-')} is {wrong['input']!r}: {wrong['msg']}", ExitCode.USAGE)


def _shown(value: object) -> Any:
    """A value as it may be printed."""
    if isinstance(value, SecretStr):
        return "***" if value.get_secret_value() else ""
    if isinstance(value, str):
        return without_password(value)
    return str(value) if isinstance(value, Path) else value

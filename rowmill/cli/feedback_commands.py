"""`rowmill feedback` and `rowmill accuracy`: what was true, and how right the versions of a model were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from rowmill.cli import options, texts
from rowmill.cli.exits import ExitCode, say
from rowmill.cli.session import connected, print_json


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(feedback)
    app.command()(accuracy)


def feedback(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Labels: CSV, JSON Lines or Parquet, plain or compressed."),
    ],
    *,
    job: Annotated[str | None, typer.Option(help="Job whose rows are labelled.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model whose single predictions the keys name.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of keys, in FILE and in the job's result.")
    ] = None,
    row: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the job's row numbers, from 0.")
    ] = None,
    prediction_id: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the ids that answers named.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the labels; default: label.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 if a label met nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Send true labels: of a job's rows, or of single predictions that the server logged.

    Labels are joined by key, by row number, by prediction id, or to a job in the order of its rows. The same
    labels again change nothing.
    """
    path = options.input_file(file)
    with connected() as client:
        told = client.feedback(
            path, job=job, model=model, key=key, row=row, prediction_id=prediction_id, label=label
        )
    if as_json:
        print_json(told)
    else:
        say(_told(told))
        if "job" in told:
            typer.echo(_figures(told["job"]))
    counts = told["labels"]
    if strict and counts["joined"] < counts["sent"]:
        raise typer.Exit(ExitCode.ROW_ERRORS)


def accuracy(
    model: Annotated[str, typer.Argument(metavar="NAME", help="Model, or one version: NAME@3.")],
    *,
    window: Annotated[
        str | None, typer.Option(metavar="TIME", help="How far back, such as 24h or 7d; default: 30d.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how right a model's versions were, over time, as far as labels are known."""
    name, _, version = model.partition("@")
    if version and not version.isdecimal():
        raise typer.BadParameter(f"{model!r} is neither a model nor a version of one, such as {name}@3")
    with connected() as client:
        found = client.accuracy(name, version=int(version) if version else None, window=window)
    if as_json:
        print_json(found)
    elif not found["versions"]:
        say(
            f"no predictions of {model} are logged in this time, and no job of it is labelled; "
            "set ROWMILL_LOG_PREDICTIONS=true, or send labels: `rowmill feedback FILE --job ID`"
        )
    else:
        typer.echo(texts.table(list(_table(found))))
        for line in _alarms(found):
            say(line)


def _alarms(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each version that fell; only admins are told."""
    for version in found["versions"]:
        if alarm := version.get("alarm"):
            fell = (
                f"{found['model']}@{version['version']} fell below {alarm['below']:g} at {alarm['fell_at']}"
            )
            yield f"{fell}: accuracy {_number(alarm['accuracy'])} of {alarm['labelled']:,}; {_ending(alarm)}"


def _ending(alarm: Mapping[str, Any]) -> str:
    """What became of telling the operator's command."""
    if alarm["told_at"]:
        return f"told at {alarm['told_at']}"
    failed = f"call {alarm['calls']} failed ({alarm['failure']})" if alarm["failure"] else "not told yet"
    if alarm["due_at"]:
        return f"{failed}, due at {alarm['due_at']}"
    return f"{failed}, given up"


def _told(told: Mapping[str, Any]) -> str:
    """What became of the labels, and the first ones that met nothing."""
    counts = told["labels"]
    parts = [f"{counts['joined']:,} of {counts['sent']:,} labels joined"]
    for name, shown in (
        ("unknown", "unknown_keys"),
        ("unusable", "unusable_labels"),
        ("unseen", "unseen_labels"),
    ):
        if counts[name]:
            first = ", ".join(told[shown][:5])
            parts.append(f"{counts[name]:,} {name}" + (f" ({first})" if first else ""))
    return " · ".join(parts)


def _figures(measured: Mapping[str, Any]) -> str:
    names = [name for name in ("accuracy", "mae", "rmse") if name in measured]
    told = [f"{name} {_number(measured[name])}" for name in names]
    return " · ".join([*told, f"{measured['labelled']:,} of {measured['predictions']:,} rows labelled"])


def _table(found: Mapping[str, Any]) -> Iterator[list[str]]:
    """Each version in all, then by time; the first line is the head."""
    names = [name for name in ("accuracy", "mae", "rmse") if name in found["versions"][0]]
    yield ["VERSION", "FROM", "PREDICTIONS", "LABELLED", *map(str.upper, names)]
    for version in found["versions"]:
        reference = f"{found['model']}@{version['version']}"
        for label, measured in [("all", version), *((step["from"], step) for step in version["over_time"])]:
            figures = [_number(measured.get(name)) for name in names]
            yield [reference, label, f"{measured['predictions']:,}", f"{measured['labelled']:,}", *figures]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

"""`rowmill score` and `rowmill submit`: the commands that send a file or a folder of images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import typer

from rowmill.cli import options, targets, texts
from rowmill.cli.exits import ExitCode, code_of, how_to_go_on, say, stop
from rowmill.cli.progress import Report, reporting
from rowmill.cli.session import connected, ended, leaving_alone, print_json
from rowmill.client import Client, Job, JobOptions, JobResource


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(score)
    app.command()(submit)


def score(
    file: options.File,
    *,
    model: options.Model = None,
    output: options.Output = None,
    format_name: options.FormatName = None,
    timeout: options.Timeout = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    name: options.Name = None,
    tags: options.Tags = None,
    keep: options.Keep = None,
    outputs: options.Outputs = None,
    on_error: options.OnError = None,
    max_row_errors: options.MaxRowErrors = None,
    chunk_rows: options.ChunkRows = None,
    ttl: options.Ttl = None,
    deadline: options.Deadline = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    charset: options.Charset = None,
    no_header: options.NoHeader = False,
    null_values: options.NullValues = None,
) -> None:
    """Score a file or a folder of images: submit it, show the progress, download the result.

    The result has one row for each row of the file or image, in the same order. Ctrl-C ends the waiting, not
    the job.
    """
    called = file.resolve().name if file.is_dir() else file.name  # a folder may be "."
    target = targets.choose(output, format_name, None if str(file) == "-" else called)
    if as_json and target.path is None:
        raise typer.BadParameter(
            "the result goes to stdout already; name a file with -o", param_hint="--json"
        )
    chosen = _job_options(
        name=name,
        tags=tags,
        keep=keep,
        outputs=outputs,
        on_error=on_error,
        max_row_errors=max_row_errors,
        chunk_rows=chunk_rows,
        ttl=ttl,
        deadline=deadline,
        delimiter=delimiter,
        decimal=decimal,
        charset=charset,
        no_header=no_header,
        null_values=null_values,
    )
    with connected() as client:
        job, resource = _scored(client, file, model, chosen, target=target, timeout=timeout)
        if resource["status"] == "succeeded" and target.path is None:
            targets.write_out(job.read(target.kind))
    _tell(resource, target, as_json)
    raise typer.Exit(code_of(resource, strict))


def _tell(resource: JobResource, target: targets.Target, as_json: bool) -> None:
    say(texts.outcome(resource))
    if resource["status"] == "succeeded" and target.path:
        say(f"result {target.path}")
    if as_json:
        print_json(resource)


def submit(
    file: options.File,
    *,
    model: options.Model = None,
    as_json: options.AsJson = False,
    name: options.Name = None,
    tags: options.Tags = None,
    keep: options.Keep = None,
    outputs: options.Outputs = None,
    on_error: options.OnError = None,
    max_row_errors: options.MaxRowErrors = None,
    chunk_rows: options.ChunkRows = None,
    ttl: options.Ttl = None,
    deadline: options.Deadline = None,
    delimiter: options.Delimiter = None,
    decimal: options.Decimal = None,
    charset: options.Charset = None,
    no_header: options.NoHeader = False,
    null_values: options.NullValues = None,
) -> None:
    """Submit a file or a folder of images and print the id of its job, without waiting for it."""
    chosen = _job_options(
        name=name,
        tags=tags,
        keep=keep,
        outputs=outputs,
        on_error=on_error,
        max_row_errors=max_row_errors,
        chunk_rows=chunk_rows,
        ttl=ttl,
        deadline=deadline,
        delimiter=delimiter,
        decimal=decimal,
        charset=charset,
        no_header=no_header,
        null_values=null_values,
    )
    with connected() as client, reporting() as report:
        job = _submitted(client, file, model, report, chosen)
        resource = job.status() if as_json else None
    say(f"job {job.url}")
    if resource:
        print_json(resource)
    else:
        typer.echo(job.id)
        say(how_to_go_on(job.id))


def _scored(
    client: Client,
    file: Path,
    model: str | None,
    chosen: JobOptions,
    *,
    target: targets.Target,
    timeout: float | None,
) -> tuple[Job, JobResource]:
    """Submit, wait, and fetch the result if it goes to a file."""
    with reporting() as report:
        job = _submitted(client, file, model, report, chosen)
        with leaving_alone(job):
            say(f"job {job.url}")
            resource = ended(job, timeout, report.scored)
            if resource["status"] == "succeeded" and target.path:
                job.download(target.path, target.kind, report.received)
    return job, resource


def _submitted(client: Client, file: Path, model: str | None, report: Report, chosen: JobOptions) -> Job:
    source = sys.stdin.buffer if str(file) == "-" else file
    try:
        return client.submit(source, model, progress=report.sent, **chosen)
    except KeyboardInterrupt:
        stop(
            "interrupted while sending; `rowmill ps` shows whether the server took the file",
            ExitCode.INTERRUPTED,
        )


def _job_options(*, no_header: bool, **given: Any) -> JobOptions:
    """The options that were given, under the names of the client."""
    return cast(JobOptions, {**given, "header": not no_header})

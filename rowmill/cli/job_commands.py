"""The commands about jobs that exist: status, wait, watch, get, errors, cancel, retry, clone, ps."""

from __future__ import annotations

import itertools
import time
from typing import Annotated, cast

import typer

from rowmill.cli import options, targets, texts
from rowmill.cli.exits import ExitCode, code_of, how_to_go_on, say
from rowmill.cli.progress import reporting
from rowmill.cli.session import connected, ended, leaving_alone, print_json
from rowmill.client import Job, JobResource
from rowmill.client.options import CloneOptions, RetryOptions


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (status, wait, watch, get, link, errors, cancel, retry, clone, ps):
        app.command()(command)


def status(job_id: options.JobId, as_json: options.AsJson = False) -> None:
    """Show how a job stands."""
    with connected() as client:
        resource = client.job(job_id).status()
    if as_json:
        print_json(resource)
    else:
        typer.echo(texts.description(resource))


def wait(
    job_ids: options.JobIds,
    timeout: options.Timeout = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """Wait in silence until every job has ended, however it ended; TIME is for all of them together."""
    codes: list[ExitCode] = []
    started = time.monotonic()
    with connected() as client:
        for job_id in job_ids:
            left = None if timeout is None else max(timeout - (time.monotonic() - started), 0)
            job = client.job(job_id)
            with leaving_alone(job):
                resource = ended(job, left)
            _tell(resource, as_json, prefix=f"{job_id} ")
            codes.append(code_of(resource, strict))
    raise typer.Exit(ExitCode.FAILED if ExitCode.FAILED in codes else max(codes))


def watch(
    job_id: options.JobId,
    timeout: options.Timeout = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the progress of a job until it ends."""
    with connected() as client:
        job = client.job(job_id)
        with leaving_alone(job), reporting() as report:
            resource = ended(job, timeout, report.scored)
    _tell(resource, as_json)
    raise typer.Exit(code_of(resource, strict))


def get(
    job_id: options.JobId,
    output: options.Output = None,
    format_name: options.FormatName = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take the rows scored so far of a job that has no result.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Download the result of a job; a download that broke off is continued and its digest checked."""
    with connected() as client:
        job = client.job(job_id)
        resource = job.status()
        target = targets.choose(output, format_name, resource["input"]["name"] or job_id)
        if target.path is None:
            targets.write_out(job.read(target.kind, partial=partial))
            return
        with reporting() as report:
            job.download(target.path, target.kind, report.received, partial=partial)
    say(f"result {target.path}" + ("" if resource["status"] == "succeeded" else " (partial)"))
    if as_json:
        print_json(resource)


def errors(
    job_id: options.JobId,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
) -> None:
    """List the bad rows of a job: row, line, column, value and what is wrong with it."""
    if as_csv and as_json:
        raise typer.BadParameter("choose one of --csv and --json", param_hint="--csv")
    with connected() as client:
        job = client.job(job_id)
        if as_csv or as_json:
            targets.write_out(job.read_errors("csv" if as_csv else "jsonl"))
            return
        for error in job.errors():
            typer.echo(texts.row_error(error))


def link(
    job_id: options.JobId,
    lasts: Annotated[str, typer.Option("--for", metavar="TIME", help="How long; 7d at most.")] = "1h",
    format_name: Annotated[str, typer.Option("--format", help="parquet, csv or jsonl.")] = "parquet",
) -> None:
    """Print a URL that opens the result without a key, for a while."""
    with connected() as client:
        typer.echo(client.job(job_id).link(targets.known(format_name) or "parquet", lasts))


def cancel(job_id: options.JobId, as_json: options.AsJson = False) -> None:
    """Stop a job; what it scored so far stays on the server."""
    with connected() as client:
        _tell(client.job(job_id).cancel(), as_json)


def retry(
    job_id: options.JobId,
    on_error: options.OnError = None,
    max_row_errors: options.MaxRowErrors = None,
    ttl: options.Ttl = None,
    deadline: options.Deadline = None,
    as_json: options.AsJson = False,
) -> None:
    """Score what a job that failed or was cancelled did not; prints the id of the new job."""
    chosen = cast(
        RetryOptions,
        {"on_error": on_error, "max_row_errors": max_row_errors, "ttl": ttl, "deadline": deadline},
    )
    with connected() as client:
        _tell_new(client.job(job_id).retry(**chosen), as_json)


def clone(
    job_id: options.JobId,
    model: options.CloneModel = None,
    keep: options.Keep = None,
    outputs: options.Outputs = None,
    ttl: options.Ttl = None,
    deadline: options.Deadline = None,
    as_json: options.AsJson = False,
) -> None:
    """Score the input of a job again, without sending it; prints the id of the new job."""
    chosen = cast(CloneOptions, {"keep": keep, "outputs": outputs, "ttl": ttl, "deadline": deadline})
    with connected() as client:
        _tell_new(client.job(job_id).clone(model, **chosen), as_json)


def ps(
    status_name: Annotated[str | None, typer.Option("--status", help="Only jobs in this state.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only jobs of this model.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connected() as client:
        jobs = list(itertools.islice(client.jobs(status=status_name, model=model, tag=tag), limit))
    if not as_json:
        typer.echo(texts.listing(jobs))
        return
    for job in jobs:
        print_json(job)


def _tell_new(job: Job, as_json: bool) -> None:
    say(f"job {job.url}")
    if as_json:
        print_json(job.status())
    else:
        typer.echo(job.id)
        say(how_to_go_on(job.id))


def _tell(resource: JobResource, as_json: bool, prefix: str = "") -> None:
    say(prefix + texts.outcome(resource))
    if as_json:
        print_json(resource)

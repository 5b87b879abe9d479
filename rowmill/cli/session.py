"""The client that a command talks through, and waiting for a job the way that all commands do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from base.settings import Settings
from rowmill.cli.exits import ExitCode, how_to_go_on, stop
from rowmill.client import Client, Job, JobCancelled, JobFailed, JobResource


@contextmanager
def connected() -> Iterator[Client]:
    """A client of the server that the settings name (`ROWMILL_URL`)."""
    settings = Settings()
    with Client(settings.url, settings.api_key.get_secret_value() or None) as client:
        yield client


def ended(
    job: Job, timeout: float | None = None, progress: Callable[[JobResource], object] | None = None
) -> JobResource:
    """The job once it has ended, however it ended."""
    try:
        return job.wait(timeout, progress)
    except (JobFailed, JobCancelled) as over:
        return over.job


@contextmanager
def leaving_alone(job: Job) -> Iterator[None]:
    """Say what becomes of the job when somebody presses Ctrl-C while it is waited for."""
    try:
        yield
    except KeyboardInterrupt:
        stop(f"interrupted; job {job.id} goes on: {how_to_go_on(job.id)}", ExitCode.INTERRUPTED)


def print_json(document: Mapping[str, Any]) -> None:
    """One document on one line of stdout, for programs."""
    typer.echo(json.dumps(document, ensure_ascii=False))

"""A job that ended as the start of another: a retry of what failed, or a clone with another model or options.

Both share the parent's input, which stays for as long as any job needs it. What says how a file is read (the
options of CSV) belongs to the input, and cannot change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import intake
from jobs.errors import Problem
from jobs.lifecycle.submission import NewJob, input_expired
from jobs.options import Options, parse_options
from jobs.records import Input, Job
from jobs.states import JobStatus
from jobs.workshop import Workshop

# Nothing that a committed chunk depends on may change in a retry.
RETRY_OPTIONS = ("name", "tags", "on_error", "max_row_errors", "ttl", "deadline")
CLONE_OPTIONS = ("model", "keep", "outputs", "chunk_rows", *RETRY_OPTIONS)


def retry_options(parent: Job, given: Mapping[str, str]) -> Options:
    """The parent's options with those that ``given`` changes.

    Raises ``Problem`` if there is nothing to retry, or for an option that a retry does not have.
    """
    _refuse_unended(parent)
    if parent.status == JobStatus.SUCCEEDED:
        raise Problem(
            "nothing_to_retry",
            f"Job {parent.id} succeeded: every row was scored, or has its error. Send a corrected file, or "
            f"POST /jobs/{parent.id}/clone for another model or other options.",
        )
    return _changed(parent, given, "retry", RETRY_OPTIONS)


def clone_options(parent: Job, given: Mapping[str, str]) -> Options:
    """The parent's options with those that ``given`` changes. Raises ``Problem`` as :func:`retry_options`."""
    _refuse_unended(parent)
    return _changed(parent, given, "clone", CLONE_OPTIONS)


def retry(
    workshop: Workshop, parent: Job, options: Options, *, key: str | None, request_sha256: str
) -> NewJob:
    """The same job once more; planning takes over what the parent committed."""
    workshop.registry.get(parent.model_name, parent.model_version)
    stored = {name: getattr(options, name) for name in ("on_error", "max_row_errors", "ttl")}
    return NewJob(
        owner=parent.owner,
        idempotency_key=key,
        request_sha256=request_sha256,
        name=options.name,
        tags=options.tags,
        model_name=parent.model_name,
        model_version=parent.model_version,
        model_sha256=parent.model_sha256,
        options={**parent.options, **stored},
        warnings=parent.warnings,
        rows_total=parent.rows_total,
        ttl_seconds=options.ttl or workshop.settings.result_ttl_seconds,
        deadline_seconds=options.deadline,
        input_id=parent.input_id,
        retry_of=parent.id,
    )


def clone(
    workshop: Workshop,
    parent: Job,
    source: Input,
    options: Options,
    *,
    key: str | None,
    request_sha256: str,
) -> NewJob:
    """A new job on the same input, checked as if it had been sent again."""
    try:
        examined = intake.examine(workshop, workshop.files.path(source.file), options)
    except FileNotFoundError:
        raise input_expired(parent.id) from None
    return intake.new_job(
        workshop,
        examined,
        options,
        owner=parent.owner,
        key=key,
        request_sha256=request_sha256,
        input_id=source.id,
    )


def _refuse_unended(parent: Job) -> None:
    if not parent.done:
        raise Problem(
            "not_finished",
            f"Job {parent.id} is {parent.status}. Wait until it has ended, or cancel it first: "
            f"POST /jobs/{parent.id}/cancel",
        )


def _changed(parent: Job, given: Mapping[str, str], what: str, allowed: tuple[str, ...]) -> Options:
    parse_options(given)  # says what is wrong with a value, or with a name that no option has
    if others := [name for name in given if name not in allowed]:
        raise Problem(
            "bad_option",
            f"A {what} cannot change {', '.join(map(repr, others))}, only {', '.join(allowed)}. "
            "Send the file again for that.",
        )
    return Options.model_validate({**_options_of(parent), **given})


def _options_of(job: Job) -> dict[str, Any]:
    """What a client would have to send to get the same job."""
    return {
        **job.options,
        "model": f"{job.model_name}@{job.model_version}",
        "name": job.name,
        "tags": job.tags,
        "deadline": None if job.deadline_at is None else job.deadline_at - job.created_at,
    }

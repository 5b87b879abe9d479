"""Receiving a file and deciding, before anything is queued, whether it can be scored.

The body streams to disk while it is hashed. Then the head alone is read: format, columns, the first rows.
What is wrong is said now, with the value and the way out, and nothing stays on disk.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from uuid6 import uuid7

from base.files import DigestWriter, Files
from base.formats import InputShape, sniff
from jobs.columns import Columns, match, refuse_mistyped
from jobs.errors import Problem
from jobs.head import read_head
from jobs.lifecycle.ending import input_folder
from jobs.lifecycle.submission import NewJob, Submission, is_known_input
from jobs.options import Options
from jobs.unchanged import stamps_of
from jobs.workshop import Workshop
from models.manifest import Manifest

NAME_LENGTH = 255

log = structlog.get_logger()


class Upload:
    """A body on its way to disk: write blocks to it, then hand it to :func:`examine`."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._open()

    def _open(self) -> None:
        self._stream = self.path.open("wb")
        self._writer = DigestWriter(self._stream)

    def write(self, block: Any) -> int:
        """Append a block. Raises ``Problem`` (``too_large``) as soon as the cap is passed."""
        written = self._writer.write(block)
        if self._writer.bytes > self._max_bytes:
            raise Problem(
                "too_large",
                f"The file is over the limit of {self._max_bytes} bytes (setting max_upload_bytes). "
                "Split it, or send it compressed with gzip or zstd.",
            )
        return written

    @contextmanager
    def start_over(self) -> Iterator[IO[bytes]]:
        """Begin again with an empty file; within the block, what was written before can be read."""
        self.close()
        with self.path.open("rb") as written:
            self.path.unlink()  # its bytes live on until it is closed
            self._open()
            yield written

    def finish(self) -> None:
        """Flush what was written; no write may follow."""
        self._stream.flush()

    def close(self) -> None:
        """Give up the file's handle; the file stays."""
        self._stream.close()

    @property
    def bytes(self) -> int:
        """Bytes received so far."""
        return self._writer.bytes

    @property
    def sha256(self) -> str:
        """Digest of the bytes received so far."""
        return self._writer.sha256


@contextmanager
def receive(
    files: Files, announced_bytes: int | None, max_bytes: int, min_free_bytes: int
) -> Iterator[Upload]:
    """An upload whose draft is removed at the end of the block unless it was accepted.

    Raises ``Problem`` at once for a body that says it is too large, or larger than the disk.
    """
    if announced_bytes is not None and announced_bytes > max_bytes:
        raise Problem(
            "too_large",
            f"The body has {announced_bytes} bytes; the limit is {max_bytes} (setting max_upload_bytes). "
            "Split the file, or send it compressed with gzip or zstd.",
        )
    free = files.free_bytes()
    if free < min_free_bytes + (announced_bytes or 0):
        raise _disk_low(
            f"Only {free} bytes are free where files are kept, and {min_free_bytes} must stay free."
        )
    try:
        with files.draft() as path, closing(Upload(path, max_bytes)) as upload:
            yield upload
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_low("The disk became full while the file was received.") from error


def _disk_low(reason: str) -> Problem:
    advice = "Delete jobs that are no longer needed, or give the data folder more room."
    return Problem("disk_low", f"{reason} {advice}")


@dataclass(frozen=True)
class Examined:
    """A file that can be scored: what it is, and how its columns map to the model's."""

    manifest: Manifest
    shape: InputShape
    columns: Columns


def examine(workshop: Workshop, path: Path, options: Options) -> Examined:
    """Check a received file against the model that its options name; a refusal says all that is wrong."""
    manifest = workshop.registry.resolve(options.model, workshop.settings.default_model or None)
    shape = sniff(path, options.csv(), max_decoded_bytes=workshop.settings.max_decoded_bytes)
    columns = match(manifest, shape, options.keep, options.outputs)
    if shape.format in ("csv", "jsonl"):
        rows = read_head(workshop.files, path, shape, columns, workshop.settings.max_decoded_bytes)
        refuse_mistyped(manifest, columns, rows)
    return Examined(manifest, shape, columns)


def submission(
    workshop: Workshop,
    upload: Upload,
    examined: Examined,
    options: Options,
    *,
    owner: str,
    file_name: str,
    key: str | None,
    request_sha256: str,
) -> Submission:
    """Keep the file, and gather all that the database must know of the job."""
    input_id = str(uuid7())
    upload.finish()
    stored = workshop.files.keep(upload.path, f"{input_folder(input_id)}/received")
    job = new_job(
        workshop, examined, options, owner=owner, key=key, request_sha256=request_sha256, input_id=input_id
    )
    return Submission(
        **vars(job),
        input_name=re.sub(r"[\x00-\x1f\x7f]", "_", file_name)[-NAME_LENGTH:],
        input_bytes=upload.bytes,
        input_sha256=upload.sha256,
        input_shape=examined.shape.to_json(),
        input_file=stored,
        input_stamps=stamps_of(workshop.files, stored),
    )


def new_job(
    workshop: Workshop,
    examined: Examined,
    options: Options,
    *,
    owner: str,
    key: str | None,
    request_sha256: str,
    input_id: str,
) -> NewJob:
    """A job on an input that was examined."""
    manifest = examined.manifest
    return NewJob(
        owner=owner,
        idempotency_key=key,
        request_sha256=request_sha256,
        name=options.name,
        tags=options.tags,
        model_name=manifest.name,
        model_version=manifest.version,
        model_sha256=manifest.sha256,
        options=_stored_options(options, examined.columns),
        warnings=examined.columns.notes,
        rows_total=examined.shape.rows,
        ttl_seconds=options.ttl or workshop.settings.result_ttl_seconds,
        deadline_seconds=options.deadline,
        input_id=input_id,
    )


def withdraw(workshop: Workshop, submitted: Submission) -> None:
    """Remove the file of a submission that was not accepted.

    A commit may have come through though its answer was lost, so the database is asked. Where it cannot be,
    the file stays, and the caretaker removes it in time if no job has it.
    """
    try:
        taken = is_known_input(workshop.database, submitted.input_id)
    except SQLAlchemyError as error:
        log.warning("file of an uncertain submission left", input=submitted.input_id, reason=str(error))
    else:
        if not taken:
            workshop.files.remove_folder(input_folder(submitted.input_id))


def _stored_options(options: Options, columns: Columns) -> dict[str, Any]:
    """What determines the content of the result, with every default filled in."""
    return {
        "keep": columns.keep_names,
        "outputs": options.outputs,
        "on_error": options.on_error,
        "max_row_errors": options.max_row_errors,
        "chunk_rows": options.chunk_rows,
        "delimiter": options.delimiter,
        "decimal": options.decimal,
        "charset": options.charset,
        "header": options.header,
        "null_values": options.null_values,
        "ttl": options.ttl,
    }

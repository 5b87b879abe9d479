"""Planning a retry: the parent's cuts, with every part that it committed and that is still what it was.

Parts get a second name in the folder of the retry, so that parent and retry can be removed in any order.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from uuid6 import uuid7

from base.files import Files, sha256_of
from jobs.heartbeat import Heartbeat
from jobs.lifecycle import retries
from jobs.lifecycle.chunks import PREVIEW_ERRORS
from jobs.lifecycle.ending import job_folder
from jobs.lifecycle.retries import Reused
from jobs.reading import list_chunks
from jobs.records import Chunk, StepClaim
from jobs.states import ChunkStatus, JobStatus
from jobs.workshop import Workshop


def plan_retry(workshop: Workshop, claim: StepClaim, heartbeat: Heartbeat) -> JobStatus | None:
    """Plan a retry from what is left of its parent; None if the parent was never cut, or is gone."""
    parent = claim.job.retry_of
    found = list_chunks(workshop.database, parent) if parent else []
    if not found:
        return None
    files, folder = workshop.files, f"{job_folder(claim.job.id)}/parts"
    chunks = []
    for chunk in found:
        heartbeat.check()
        part = _shared(files, chunk, f"{folder}/{chunk.index:06d}-r{claim.attempt}-{uuid7().hex[-8:]}")
        chunks.append(_again(claim, chunk, part))
    files.sync_folder(folder)
    counts, preview = _errors(files, chunks)
    return retries.planned_again(workshop.database, claim, Reused(chunks, counts, preview))


def _shared(files: Files, chunk: Chunk, name: str) -> dict[str, Any] | None:
    """The part under a name of our own, if there is one and it is whole."""
    part = chunk.part if chunk.status == ChunkStatus.DONE else None
    if part is None or not files.share(part["file"], f"{name}.parquet"):
        return None
    if sha256_of(files.path(f"{name}.parquet")) != part["sha256"]:
        return None
    errors_file = f"{name}.errors.jsonl" if part["errors_file"] else None
    if errors_file and not _shares_errors(files, part, errors_file):
        return None
    return {**part, "file": f"{name}.parquet", "errors_file": errors_file}


def _shares_errors(files: Files, part: Mapping[str, Any], name: str) -> bool:
    if not files.share(part["errors_file"], name):
        return False
    digest = part.get("errors_sha256")  # parts of earlier versions have none
    return digest is None or sha256_of(files.path(name)) == digest


def _again(claim: StepClaim, chunk: Chunk, part: dict[str, Any] | None) -> Chunk:
    """The chunk as the retry has it: done, or to be scored from its beginning."""
    if part:
        return dataclasses.replace(chunk, job_id=claim.job.id, part=part)
    is_text = claim.input.parsed_shape.format in ("csv", "jsonl")
    return dataclasses.replace(
        chunk,
        job_id=claim.job.id,
        status=ChunkStatus.PENDING,
        rows=None if is_text else chunk.rows,  # of text, only scoring tells
        lines=None,
        rows_failed=None,
        part=None,
    )


def _errors(files: Files, chunks: Iterable[Chunk]) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Row errors of the parts by code and column, and the first of them."""
    counts: Counter[str] = Counter()
    preview: list[dict[str, Any]] = []
    for chunk in chunks:
        if chunk.part and chunk.part["errors_file"]:
            with files.path(chunk.part["errors_file"]).open(encoding="utf-8") as stream:
                for error in map(json.loads, stream):
                    counts[f"{error['code']}:{error['column']}" if error["column"] else error["code"]] += 1
                    if len(preview) < PREVIEW_ERRORS:
                        preview.append({"chunk": chunk.index, **error})
    return dict(counts), preview

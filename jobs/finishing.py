"""Joining a job's parts into its result, once all chunks are committed."""

from __future__ import annotations

from collections.abc import Iterable

from base.files import sha256_of
from jobs import results, unusual
from jobs.errors import LostLease
from jobs.heartbeat import Heartbeat
from jobs.lifecycle import steps
from jobs.lifecycle.ending import job_folder
from jobs.reading import list_chunks
from jobs.records import Chunk, StepClaim
from jobs.trouble import handed_back
from jobs.workshop import Workshop
from models.manifest import Manifest


def finish_job(workshop: Workshop, job_id: str) -> None:
    """Join and publish one job, if it waits for it; the parts go once the result stands."""
    settings = workshop.settings
    claim = steps.claim_finishing(
        workshop.database, job_id, settings.lease_seconds, settings.max_attempts, workshop.worker
    )
    if claim is None:
        return
    with (
        handed_back(workshop, claim),
        Heartbeat(
            lambda: steps.renew(workshop.database, claim, settings.lease_seconds), settings.heartbeat_seconds
        ) as heartbeat,
    ):
        _finish(workshop, claim, heartbeat)


def _finish(workshop: Workshop, claim: StepClaim, heartbeat: Heartbeat) -> None:
    files, job = workshop.files, claim.job
    manifest = workshop.registry.get(job.model_name, job.model_version)
    empty = results.bare_schema(manifest, job.options["outputs"])
    metadata = results.lineage(job, claim.input, manifest.libraries)
    chunks = list_chunks(workshop.database, job.id)
    with files.draft(".parquet") as draft:
        for _ in results.join(files, chunks, empty, metadata, draft):
            heartbeat.check()
        size, digest = draft.stat().st_size, sha256_of(draft)
        name = files.keep(draft, f"{job_folder(job.id)}/result-{claim.attempt}.parquet")
    result = {"file": name, "bytes": size, "sha256": digest}
    try:
        ttl_seconds = job.options["ttl"] or workshop.settings.result_ttl_seconds
        steps.finished(workshop.database, claim, result, ttl_seconds, _notes(manifest, chunks))
    except LostLease:
        files.remove(name)
        raise
    # all of them, not only those that were joined: attempts that died left parts that no row names
    for path in files.path(f"{job_folder(job.id)}/parts").glob("*.parquet"):
        path.unlink(missing_ok=True)


def _notes(manifest: Manifest, chunks: Iterable[Chunk]) -> list[str]:
    """What the chunks counted; parts of before there were rules for unusual values have no counts."""
    counts = unusual.total(chunk.part.get("unusual", {}) for chunk in chunks if chunk.part)
    return unusual.sentences(manifest, counts)

"""From an input to a comparison: a job for each version, on one stored input, and both results fetched."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rowmill.client.comparison.answers import reference, targets
from rowmill.client.comparison.document import Comparison
from rowmill.client.comparison.labels import Writing
from rowmill.client.comparison.report import compare_files
from rowmill.client.options import JobOptions
from rowmill.client.resource import JobResource

if TYPE_CHECKING:
    from rowmill.client.client import Client
    from rowmill.client.transport import Transport
    from rowmill.client.upload import Progress, Source


def run(
    client: Client,
    transport: Transport,
    data: Source,
    models: Sequence[str],
    labels: str | Sequence[str] | None,
    *,
    timeout: float | None,
    sent: Progress | None,
    scored: Callable[[JobResource], object] | None,
    options: JobOptions,
) -> Comparison:
    """As `Client.compare`."""
    first, second = _two(models)
    described = [_description(transport, name) for name in (first, second)]
    compared = targets(*described)
    columns = _columns(labels, len(compared))
    # aliases are followed once: nobody moves one between the two jobs
    exact = [reference(each) for each in described]
    wanted: JobOptions = {**options, "keep": columns or None}
    job = client.submit(data, exact[0], progress=sent, **wanted)
    job.wait(timeout, scored)
    other = job.clone(exact[1])
    other.wait(timeout, scored)
    with tempfile.TemporaryDirectory(prefix="rowmill-") as folder:
        files = [each.download(Path(folder) / f"{each.id}.parquet") for each in (job, other)]
        found = compare_files(files[0], files[1], compared, columns, _writing(options))
    return {"models": exact, "jobs": [job.id, other.id], **found}


def _two(models: Sequence[str]) -> tuple[str, str]:
    if isinstance(models, str) or len(models) != 2:
        raise ValueError(f"two models are compared, such as ['churn@3', 'churn@4'], not {models!r}")
    return models[0], models[1]


def _description(transport: Transport, name: str) -> dict[str, Any]:
    described: dict[str, Any] = transport.json("GET", f"/models/{quote(name, safe='@')}")
    return described


def _writing(options: JobOptions) -> Writing:
    """Kept columns are copied as they stand, so labels are read by the same options as the file was."""
    words = options.get("null_values") or ()
    return Writing(
        decimal=options.get("decimal") or ".",
        null_words=frozenset(words.split(",") if isinstance(words, str) else words),
    )


def _columns(labels: str | Sequence[str] | None, count: int) -> list[str]:
    """The columns of the true labels, one for each target."""
    columns = [labels] if isinstance(labels, str) else list(labels or ())
    if columns and len(columns) != count:
        raise ValueError(f"{count} columns of labels are needed, one for each target, not {len(columns)}")
    return columns

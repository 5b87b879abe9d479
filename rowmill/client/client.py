"""`Client`: a Rowmill server from Python, for notebooks and nightly scripts alike."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack
from urllib.parse import quote

from rowmill.client import feedback
from rowmill.client.comparison.document import Comparison
from rowmill.client.errors import DigestMismatch
from rowmill.client.job import Job
from rowmill.client.options import JobOptions, as_query
from rowmill.client.resource import JobResource
from rowmill.client.transport import Transport
from rowmill.client.upload import Progress, is_frame, opened

if TYPE_CHECKING:
    import pandas as pd

    from rowmill.client.feedback import Labels
    from rowmill.client.upload import Source

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A connection to one server; safe to share between threads, closed by `close` or a `with` block."""

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._transport = Transport(url or DEFAULT_URL, api_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The server's address, without a final slash."""
        return self._transport.url

    def close(self) -> None:
        """Give up the connections; jobs go on."""
        self._transport.close()

    def score(
        self,
        data: Source,
        model: str | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[JobOptions],
    ) -> pd.DataFrame:
        """Score a file, images or a DataFrame and return the result: one row for each input row, in order.

        A DataFrame's index is the result's index too. Bad rows have their code under `error`, no prediction.
        Raises what `submit` and `Job.wait` raise.
        """
        job = self.submit(data, model, **options)
        job.wait(timeout)
        result = job.result()
        if is_frame(data):
            result.index = data.index
        return result

    def compare(
        self,
        data: Source,
        models: Sequence[str],
        labels: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        sent: Progress | None = None,
        scored: Callable[[JobResource], object] | None = None,
        **options: Unpack[JobOptions],
    ) -> Comparison:
        """Score one input with two versions and tell what changes from the first to the second.

        `labels` names the column of the true labels (or numbers), one for each target; then metrics are told.
        `timeout` seconds are for each of the two jobs, which stay on the server. `sent` is called as the
        `progress` of `submit`, `scored` with each new version of both jobs. Memory does not grow with the
        input. Raises NotComparable, and what `submit`, `Job.clone` and `Job.wait` raise.
        """
        # imported late: pyarrow takes a while, which commands that only ask about a job save
        from rowmill.client.comparison.running import run  # noqa: PLC0415

        return run(
            self,
            self._transport,
            data,
            models,
            labels,
            timeout=timeout,
            sent=sent,
            scored=scored,
            options=options,
        )

    def submit(
        self,
        data: Source,
        model: str | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Send a file, an open binary file, a DataFrame or images; return the job without waiting for it.

        Files are streamed. A folder means each file in it and below, sorted by name, without those whose
        names begin with a dot; a list of paths is scored in its order. No `model` means the server's default
        one. `progress` is called with the bytes sent and their total (None: unknown). Raises ApiError when
        the server refuses the input, ConnectError without a server, OSError for files that cannot be read,
        DigestMismatch (and deletes the job) if what arrived is not what was sent.
        """
        with opened(data, progress) as upload:
            # one key for all tries: a submission whose answer got lost is not run twice
            headers = {**upload.headers(), "Idempotency-Key": f'"{uuid.uuid4()}"'}
            resource: JobResource = self._transport.json(
                "POST",
                "/jobs",
                params=as_query({"model": model, **options}),
                headers=headers,
                body=upload.blocks,
                repeat=upload.repeatable,
            )
        job, arrived = Job(self._transport, resource["id"]), resource["input"]["sha256"]
        if arrived != upload.sha256:
            job.delete()
            raise DigestMismatch(
                f"the input was sent with SHA-256 {upload.sha256} and arrived with {arrived}; "
                "its job is deleted, send it again"
            )
        return job

    def job(self, job_id: str) -> Job:
        """A handle for a job by its id; nothing is asked yet."""
        return Job(self._transport, job_id)

    def jobs(
        self, *, status: str | None = None, model: str | None = None, tag: str | None = None
    ) -> Iterator[JobResource]:
        """The jobs on the server, newest first, fetched page by page as they are read."""
        query = as_query({"status": status, "model": model, "tag": tag})
        while True:
            page = self._transport.json("GET", "/jobs", params=query)
            yield from page["jobs"]
            if not page.get("next_cursor"):
                return
            query["cursor"] = page["next_cursor"]

    def models(self) -> list[dict[str, Any]]:
        """The models on the server with their versions and signatures."""
        models: list[dict[str, Any]] = self._transport.json("GET", "/models")["models"]
        return models

    def predict(
        self,
        rows: Mapping[str, Any] | Sequence[Any] | os.PathLike[str],
        model: str | None = None,
        *,
        key: str | Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Score at once: a record (a mapping, or values in column order), records, an image or a text.

        An image is its file's bytes, or the path of it. Several texts are records: ``[["one"], ["two"]]``.
        `key` is your own name for the row (of several rows one for each), to send its true label later.
        """
        # scoring changes nothing that counts, so it may be asked again
        answer: dict[str, Any] = self._transport.json(
            "POST", "/predict", **_prediction_request(rows, model, key), repeat=True
        )
        return answer

    def feedback(
        self,
        labels: Labels,
        *,
        job: str | None = None,
        model: str | None = None,
        key: str | None = None,
        row: str | None = None,
        prediction_id: str | None = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Send true labels, and return what became of them; the same ones again change nothing.

        `labels` is a file, an open binary file or a DataFrame, whose columns the options name, or a list of
        mappings with `label` and one of `prediction_id`, `key` and `row`. `job`: they are of its rows.
        `model`: whose single predictions the keys name. `key`: the column of keys, in the job's result too.
        """
        columns = {"key": key, "row": row, "prediction_id": prediction_id, "label": label}
        return feedback.send(self._transport, labels, {"job": job, "model": model, **columns})

    def accuracy(
        self, model: str, *, version: int | None = None, window: str | None = None
    ) -> dict[str, Any]:
        """How right a model's versions were over time, as far as labels are known; `window` such as "7d"."""
        query = as_query({"version": version, "window": window})
        found: dict[str, Any] = self._transport.json(
            "GET", f"/models/{quote(model, safe='')}/accuracy", params=query
        )
        return found


def _prediction_request(rows: Any, model: str | None, key: str | Sequence[str] | None) -> dict[str, Any]:
    if isinstance(rows, bytes | os.PathLike):
        image = rows if isinstance(rows, bytes) else Path(rows).read_bytes()
        return {"files": {"image": ("image", image)}, "params": as_query({"model": model, "key": key})}
    one = isinstance(rows, Mapping) or not any(isinstance(row, Mapping | list | tuple) for row in rows)
    body: dict[str, Any] = {"model": model} if model else {}
    if key is not None:
        body["key" if one else "keys"] = key
    return {"json": {**body, "features" if one else "instances": rows}}

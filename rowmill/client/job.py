"""A job from a caller's side: a handle that holds an id and asks the server for everything else."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack
from urllib.parse import quote

from rowmill.client import download
from rowmill.client.errors import JobCancelled, JobFailed
from rowmill.client.options import CloneOptions, RetryOptions, as_query
from rowmill.client.resource import Format, JobResource, RowError
from rowmill.client.transport import Transport
from rowmill.client.upload import Progress
from rowmill.client.waiting import follow

if TYPE_CHECKING:
    import pandas as pd


class Job:
    """One job on a server; made by `Client.submit`, `Client.jobs` and `Client.job`."""

    def __init__(self, transport: Transport, job_id: str) -> None:
        self.id = job_id
        self._transport = transport
        self._path = f"/jobs/{quote(job_id, safe='')}"

    def __repr__(self) -> str:
        return f"<Job {self.url}>"

    @property
    def url(self) -> str:
        """The job's address, for people (a page in a browser) and programs (JSON)."""
        return self._transport.url + self._path

    def status(self) -> JobResource:
        """The job as it stands now."""
        resource: JobResource = self._transport.json("GET", self._path)
        return resource

    def wait(
        self, timeout: float | None = None, progress: Callable[[JobResource], object] | None = None
    ) -> JobResource:
        """Return the job once it succeeded; `progress` is called with each new version of it.

        Raises JobFailed or JobCancelled as soon as the job ended so, WaitTimeout after `timeout` seconds.
        """
        for job in follow(self._transport, self._path, self.id, timeout):
            if progress:
                progress(job)
        if job["status"] == "failed":
            raise JobFailed(job)
        if job["status"] == "cancelled":
            raise JobCancelled(job)
        return job

    def result(self) -> pd.DataFrame:
        """The result in memory: one row for each row of the input, in its order."""
        # imported late: pandas takes half a second, and most commands never need it
        from rowmill.client.frames import read_frame  # noqa: PLC0415

        with tempfile.TemporaryDirectory(prefix="rowmill-") as folder:
            return read_frame(self.download(Path(folder) / "result.parquet"))

    def download(
        self,
        path: str | os.PathLike[str],
        format: Format = "parquet",  # noqa: A002 - the word that users know
        progress: Progress | None = None,
        *,
        partial: bool = False,
    ) -> Path:
        """Write the result to a file, which is replaced only once all of it has arrived intact.

        A broken Parquet download is continued by the next call with the same path. `progress` is called with
        the bytes received and their total (None: unknown). `partial` takes the rows that were scored so far
        of a job without a result; the Parquet file's metadata list the others (`rowmill.missing_rows`).
        """
        target = Path(path)
        download.save(self._transport, self._result_path(format, partial), target, progress)
        return target

    def read(self, kind: Format = "parquet", *, partial: bool = False) -> Iterator[bytes]:
        """The bytes of the result, block by block; DigestMismatch after the last one if they are damaged."""
        return download.read(self._transport, self._result_path(kind, partial))

    def errors(self) -> Iterator[RowError]:
        """The bad rows of an ended job, fetched as they are read; `pandas.DataFrame(job.errors())` works."""
        for line in _lines(self.read_errors()):
            yield json.loads(line)

    def read_errors(self, kind: Literal["jsonl", "csv"] = "jsonl") -> Iterator[bytes]:
        """The bad rows of an ended job as the server's JSON Lines or CSV, block by block."""
        return download.read(self._transport, f"{self._path}/errors.{kind}")

    def link(self, format: Format = "parquet", lasts: float | str = "1h") -> str:  # noqa: A002 - as above
        """A URL that opens the result without a key, for `lasts` (seconds, or `12h`; a week at most)."""
        made = self._transport.json("POST", f"{self._path}/links", params={"for": str(lasts)})
        url: str = made["links"]["result" if format == "parquet" else f"result_{format}"]
        return url

    def cancel(self) -> JobResource:
        """Ask the job to stop; what it scored so far stays on the server."""
        resource: JobResource = self._transport.json("POST", f"{self._path}/cancel", repeat=True)
        return resource

    def retry(self, **options: Unpack[RetryOptions]) -> Job:
        """A new job for what this one, which failed or was cancelled, did not score; its result is whole."""
        return self._again("retry", options)

    def clone(self, model: str | None = None, **options: Unpack[CloneOptions]) -> Job:
        """A new job on the input of this one, which has ended; no `model` means the version of this one."""
        return self._again("clone", {"model": model, **options})

    def _again(self, how: str, options: Mapping[str, Any]) -> Job:
        # one key for all tries, as for a submission
        headers = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
        resource: JobResource = self._transport.json(
            "POST", f"{self._path}/{how}", params=as_query(options), headers=headers, repeat=True
        )
        return Job(self._transport, resource["id"])

    def delete(self) -> None:
        """Remove the job with its result, stopping it first if it runs."""
        self._transport.open("DELETE", self._path)

    def _result_path(self, kind: Format, partial: bool) -> str:
        path = f"{self._path}/result" if kind == "parquet" else f"{self._path}/result.{kind}"
        return f"{path}?partial=1" if partial else path


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest

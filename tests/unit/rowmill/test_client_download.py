"""Results arrive whole, verified and in one piece, over whatever connection there is."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from rowmill import Client
from rowmill.client import ApiError, ConnectError, DigestMismatch, Job
from tests.unit.rowmill.talking_server import (
    Answer,
    Seen,
    TalkingServer,
    accepted,
    as_json,
    problem,
    resource,
    talking_server,
)

CONTENT = bytes(range(256)) * 4096
RESULT = "/jobs/j1/result"


@pytest.fixture
def server() -> Iterator[TalkingServer]:
    with talking_server() as server:
        yield server


@pytest.fixture
def client(server: TalkingServer) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def job(client: Client) -> Job:
    return client.job("j1")


def stored(content: bytes, *, etag: str = '"v1"', cut_after: int | None = None) -> Callable[[Seen], Answer]:
    """The reply of a static file: ranges, ETag and digest; broken off after some bytes if wanted."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Repr-Digest": f"sha-256=:{digest}:"}

    def reply(request: Seen) -> Answer:
        wanted = request.headers.get("range")
        if wanted is None or request.headers.get("if-range") != etag:
            return Answer(200, content, headers, cut_after)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        described = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return Answer(206, content[start:], described, cut_after)

    return reply


def ranges(server: TalkingServer) -> list[str | None]:
    return [request.headers.get("range") for request in server.seen]


def test_a_result_is_written_whole_and_nothing_else_stays(
    server: TalkingServer, job: Job, tmp_path: Path
) -> None:
    server.on("GET", RESULT, stored(CONTENT))
    heard: list[tuple[int, int | None]] = []
    target = job.download(tmp_path / "out.parquet", progress=lambda *now: heard.append(now))
    assert target.read_bytes() == CONTENT
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert list(tmp_path.iterdir()) == [target]


def test_a_lost_connection_is_continued(server: TalkingServer, job: Job, tmp_path: Path) -> None:
    server.on("GET", RESULT, stored(CONTENT, cut_after=1000), stored(CONTENT, cut_after=50), stored(CONTENT))
    assert job.download(tmp_path / "out.parquet").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=1000-", "bytes=1050-"]


def test_a_pipe_gets_each_byte_once_over_several_connections(server: TalkingServer, job: Job) -> None:
    server.on("GET", RESULT, stored(CONTENT, cut_after=1000), stored(CONTENT))
    assert b"".join(job.read()) == CONTENT


def broken_off(server: TalkingServer, job: Job, target: Path) -> None:
    """A download that gave up after its first 1000 bytes."""
    server.on("GET", RESULT, stored(CONTENT, cut_after=1000), stored(CONTENT, cut_after=0))
    with pytest.raises(ConnectError, match="connection lost after 1,000 of 1,048,576 bytes"):
        job.download(target)
    server.seen.clear()


def test_the_next_call_continues_where_the_last_one_gave_up(
    server: TalkingServer, job: Job, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    target.write_text("yesterday")
    broken_off(server, job, target)
    assert target.read_text() == "yesterday"
    server.on("GET", RESULT, stored(CONTENT))
    assert job.download(target).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=1000-"]
    assert list(tmp_path.iterdir()) == [target]


def test_other_bytes_are_never_glued_to_a_partial_file(
    server: TalkingServer, job: Job, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    broken_off(server, job, target)
    server.on("GET", RESULT, stored(CONTENT[::-1], etag='"v2"'))
    assert job.download(target).read_bytes() == CONTENT[::-1]
    assert ranges(server) == [None]


def test_a_result_that_changes_in_mid_download_is_refused(
    server: TalkingServer, job: Job, tmp_path: Path
) -> None:
    server.on("GET", RESULT, stored(CONTENT, cut_after=1000), stored(CONTENT, etag='"v2"'))
    with pytest.raises(DigestMismatch, match="changed while it was read"):
        job.download(tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())


def test_damaged_bytes_are_thrown_away(server: TalkingServer, job: Job, tmp_path: Path) -> None:
    announced = stored(CONTENT)(Seen("GET", RESULT, {}, {}, b"", 0)).headers
    server.on("GET", RESULT, Answer(200, CONTENT[::-1], announced))
    with pytest.raises(DigestMismatch, match="download it again"):
        job.download(tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())
    with pytest.raises(DigestMismatch):
        list(job.read())


def test_a_view_that_breaks_off_leaves_nothing(server: TalkingServer, job: Job, tmp_path: Path) -> None:
    server.on("GET", f"{RESULT}.csv", Answer(200, b"a,b\n1,2\n", cut_after=4))
    with pytest.raises(ConnectError, match="connection lost"):
        job.download(tmp_path / "out.csv", format="csv")
    assert not list(tmp_path.iterdir())


def test_a_view_is_written_as_it_comes(server: TalkingServer, job: Job, tmp_path: Path) -> None:
    server.on("GET", f"{RESULT}.csv", Answer(200, b"a,b\n1,2\n"))
    assert job.download(tmp_path / "out.csv", "csv").read_text() == "a,b\n1,2\n"


def test_a_result_that_is_not_there_yet_is_the_servers_reason(
    server: TalkingServer, job: Job, tmp_path: Path
) -> None:
    server.on("GET", RESULT, problem(409, "job_not_finished", "the job is scoring; see ?partial=1"))
    with pytest.raises(ApiError, match="the job is scoring"):
        job.download(tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_a_target(server: TalkingServer, job: Job, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name the file"):
        job.download(tmp_path)
    assert not server.seen


def test_score_is_submit_wait_and_result_under_the_frames_own_index(
    client: Client, server: TalkingServer
) -> None:
    file = io.BytesIO()
    pd.DataFrame({"prediction": ["x", "y"], "error": [None, "bad_value"]}).to_parquet(file)
    server.on("POST", "/jobs", accepted)
    server.on("GET", "/jobs/j1", as_json(resource("succeeded"), ETag='"1"'))
    server.on("GET", RESULT, stored(file.getvalue()))
    result = client.score(pd.DataFrame({"a": [1, 2]}, index=["first", "second"]), model="wine")
    assert result["prediction"].to_dict() == {"first": "x", "second": "y"}


def test_score_of_a_path_counts_rows_from_zero(client: Client, server: TalkingServer, tmp_path: Path) -> None:
    file = io.BytesIO()
    pd.DataFrame({"prediction": [1.5, 2.5]}).to_parquet(file)
    server.on("POST", "/jobs", accepted)
    server.on("GET", "/jobs/j1", as_json(resource("succeeded"), ETag='"1"'))
    server.on("GET", RESULT, stored(file.getvalue()))
    path = tmp_path / "data.csv"
    path.write_text("a\n1\n2\n")
    assert client.score(path)["prediction"].to_dict() == {0: 1.5, 1: 2.5}

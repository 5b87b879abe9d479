"""What goes over the wire when something is submitted, and what a refusal becomes."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rowmill import Client
from rowmill.client import ApiError, ConnectError, DigestMismatch
from tests.unit.rowmill.talking_server import (
    Answer,
    TalkingServer,
    accepted,
    as_json,
    problem,
    resource,
    talking_server,
)


@pytest.fixture
def server() -> Iterator[TalkingServer]:
    with talking_server() as server:
        server.on("POST", "/jobs", accepted)
        yield server


@pytest.fixture
def client(server: TalkingServer) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "märz data.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_a_path_is_sent_as_it_is_with_its_name_and_options(
    client: Client, server: TalkingServer, data: Path
) -> None:
    job = client.submit(
        data,
        "wine@3",
        tags=["a", "b"],
        keep="*",
        header=False,
        null_values=["NA", "-"],
        chunk_rows=10,
        name=None,
    )
    [request] = server.seen
    assert (job.id, job.url) == ("j1", f"{server.url}/jobs/j1")
    assert request.body == data.read_bytes()
    assert request.headers["content-length"] == "8"
    assert request.headers["content-disposition"] == "attachment; filename*=UTF-8''m%C3%A4rz%20data.csv"
    assert request.query == {
        "model": "wine@3",
        "tags": "a,b",
        "keep": "*",
        "header": "none",
        "null_values": "NA,-",
        "chunk_rows": "10",
    }


def test_options_left_alone_are_the_servers(client: Client, server: TalkingServer, data: Path) -> None:
    client.submit(str(data), header=True)
    assert server.seen[0].query == {}


def test_a_frame_is_sent_as_parquet(client: Client, server: TalkingServer) -> None:
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", "y"]}, index=[7, 9])
    client.submit(frame, "wine")
    sent = pd.read_parquet(io.BytesIO(server.seen[0].body))
    pd.testing.assert_frame_equal(sent, frame.reset_index(drop=True))


def test_an_open_file_is_sent_without_knowing_its_length(client: Client, server: TalkingServer) -> None:
    client.submit(io.BytesIO(b"a\n1\n"), "wine")
    assert server.seen[0].body == b"a\n1\n"
    assert server.seen[0].headers["transfer-encoding"] == "chunked"


def test_anything_else_is_a_type_error(client: Client, server: TalkingServer) -> None:
    unsuitable: tuple[Any, ...] = ({1, 2}, [[1, 2]])
    for source, what in zip(unsuitable, ("pandas DataFrame, not set", "in the list, not list"), strict=True):
        with pytest.raises(TypeError, match=what):
            client.submit(source)
    assert not server.seen


def test_progress_hears_of_every_byte(client: Client, data: Path) -> None:
    heard: list[tuple[int, int | None]] = []
    client.submit(data, progress=lambda sent, total: heard.append((sent, total)))
    assert heard == [(8, 8)]


@pytest.mark.parametrize(
    "first",
    [
        problem(503, "busy", "too busy", Retry_After="0"),
        problem(409, "idempotency_key_in_use", "still being received", Retry_After="0"),
        Answer(cut_after=-1),
    ],
    ids=["refused", "in use", "lost"],
)
def test_a_second_try_sends_the_whole_body_under_the_same_key(
    client: Client, server: TalkingServer, data: Path, first: Answer
) -> None:
    server.on("POST", "/jobs", first, accepted)
    assert client.submit(data).id == "j1"
    assert [request.body for request in server.seen] == [data.read_bytes()] * 2
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 1


def test_an_input_that_arrived_damaged_is_not_scored(
    client: Client, server: TalkingServer, data: Path
) -> None:
    server.on("POST", "/jobs", as_json(resource(), 202))
    server.on("DELETE", "/jobs/j1", Answer(204))
    with pytest.raises(DigestMismatch, match="send it again"):
        client.submit(data)
    assert server.seen[-1].method == "DELETE"


def test_each_submission_has_its_own_key(client: Client, server: TalkingServer, data: Path) -> None:
    client.submit(data)
    client.submit(data)
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 2


def test_an_open_file_is_never_sent_twice(client: Client, server: TalkingServer) -> None:
    server.on("POST", "/jobs", problem(503, "busy", "too busy", Retry_After="0"), accepted)
    with pytest.raises(ApiError, match="too busy"):
        client.submit(io.BytesIO(b"a\n1\n"))
    assert len(server.seen) == 1


def test_a_refusal_names_what_is_wrong_and_is_not_repeated(
    client: Client, server: TalkingServer, data: Path
) -> None:
    entries = [
        {"column": "Age", "message": "not found, did you mean 'age'?"},
        {"detail": "Two columns are wrong."},
    ]
    server.on("POST", "/jobs", problem(422, "missing_column", "Two columns are wrong.", entries))
    with pytest.raises(ApiError) as caught:
        client.submit(data)
    assert (caught.value.status, caught.value.code) == (422, "missing_column")
    assert str(caught.value) == "Two columns are wrong.\ncolumn Age: not found, did you mean 'age'?"
    assert len(server.seen) == 1


def test_a_stranger_on_the_port_is_told_apart(client: Client, server: TalkingServer, data: Path) -> None:
    server.on("POST", "/jobs", Answer(200, b"<p>hello</p>", {"Content-Type": "text/html"}))
    with pytest.raises(ConnectError, match="text/html instead of JSON"):
        client.submit(data)
    server.on("POST", "/jobs", Answer(404, b"<p>no</p>"))
    with pytest.raises(ApiError, match="404 Not Found without a reason"):
        client.submit(data)


def test_nobody_listening_is_said_soon(data: Path) -> None:
    with talking_server() as gone:
        url = gone.url
    with (
        Client(url) as client,
        pytest.raises(ConnectError, match=f"cannot reach the Rowmill server at {url}"),
    ):
        client.submit(data)


@pytest.mark.parametrize("url", ["nonsense", "ftp://somewhere", "http://host:port"])
def test_a_wrong_url_is_refused_when_the_client_is_made(url: str) -> None:
    with pytest.raises(ConnectError, match="is not a server URL"):
        Client(url)


def test_a_big_file_takes_little_memory(client: Client, server: TalkingServer, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        client.submit(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert server.seen[0].body_bytes == 64 << 20
    assert peak < 16 << 20

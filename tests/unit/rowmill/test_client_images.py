"""Folders and lists of images on their way to the server: names, order, bytes, and little memory."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowmill import Client
from rowmill.client.image_set import BLOCK_BYTES, in_folder, tar_blocks, tar_size_bytes
from tests.unit.rowmill.talking_server import (
    Answer,
    TalkingServer,
    accepted,
    as_json,
    problem,
    talking_server,
)

NAMES = ["10.png", "2.png", "a b/ö 雪.png", "a/empty.png", "a/" + "long" * 60 + ".png"]


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
def photos(tmp_path: Path) -> Path:
    """A folder with files of every length around the blocks of a tar."""
    folder = tmp_path / "photos"
    for number, name in enumerate(reversed(NAMES)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (511 * number))
    for hidden in (".git/config", ".DS_Store", "a/.cache"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("not an image")
    return folder


def sent(server: TalkingServer) -> list[tuple[str, bytes]]:
    """The members of the one archive that arrived, in order."""
    [request] = server.seen
    assert request.headers["content-length"] == str(request.body_bytes)
    with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def test_a_folder_is_every_file_in_it_by_name(client: Client, server: TalkingServer, photos: Path) -> None:
    client.submit(photos, "shapes")
    assert sent(server) == [(name, (photos / name).read_bytes()) for name in NAMES]
    assert server.seen[0].headers["content-disposition"] == "attachment; filename*=UTF-8''photos.tar"


def test_a_list_keeps_its_order_and_names_below_the_common_folder(
    client: Client, server: TalkingServer, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos / "a")
    client.submit(["../2.png", photos / "a" / "empty.png", str(photos / "10.png")], "shapes")
    assert [name for name, _ in sent(server)] == ["2.png", "a/empty.png", "10.png"]


def test_a_list_within_one_folder_has_plain_names(
    client: Client, server: TalkingServer, photos: Path
) -> None:
    client.submit((photos / "2.png",), "shapes")
    assert [name for name, _ in sent(server)] == ["2.png"]


def test_the_same_files_are_the_same_bytes(photos: Path) -> None:
    first = b"".join(tar_blocks(in_folder(photos)))
    for path in photos.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert b"".join(tar_blocks(in_folder(photos))) == first
    assert len(first) == tar_size_bytes(in_folder(photos))


def test_a_second_try_sends_everything_again(client: Client, server: TalkingServer, photos: Path) -> None:
    server.on("POST", "/jobs", problem(503, "busy", "too busy", Retry_After="0"), accepted)
    heard: list[tuple[int, int | None]] = []
    client.submit(photos, progress=lambda count, total: heard.append((count, total)))
    first, second = server.seen
    assert first.body == second.body
    assert heard[-1] == (len(first.body), len(first.body))


def test_a_name_that_is_no_text_is_sent_all_the_same(photos: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    (photos / odd).write_bytes(b"x")
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_blocks(in_folder(photos))))) as tar:
        assert odd in tar.getnames()


def test_what_cannot_be_sent_is_an_error_before_anything_is(
    client: Client, server: TalkingServer, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(photos / "pipe")
    with pytest.raises(FileNotFoundError, match="no file in the folder"):
        client.submit(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="list of files is empty"):
        client.submit([])
    with pytest.raises(FileNotFoundError, match="absent"):
        client.submit([photos / "2.png", photos / "absent.png"])
    with pytest.raises(OSError, match=r"photos/a is not a file"):
        client.submit([photos / "a"])
    with pytest.raises(OSError, match=r"pipe is not a file"):
        client.submit(photos)
    assert not server.seen


def test_a_file_that_shrinks_meanwhile_is_an_error(photos: Path) -> None:
    files = in_folder(photos)
    (photos / "2.png").write_bytes(b"")
    with pytest.raises(OSError, match=r"2\.png became shorter"):
        list(tar_blocks(files))


def test_many_files_take_little_memory_and_few_blocks(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(24 << 20))
    for number in range(2000):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    files = in_folder(tmp_path)
    tracemalloc.start()
    try:
        sizes = [len(block) for block in tar_blocks(files)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == tar_size_bytes(files)
    assert peak < 6 * BLOCK_BYTES
    assert len(sizes) < 40


@pytest.mark.parametrize("as_bytes", [True, False])
def test_one_image_is_predicted_at_once(
    client: Client, server: TalkingServer, photos: Path, as_bytes: bool
) -> None:
    server.on("POST", "/predict", as_json({"prediction": 3}))
    path = photos / "10.png"
    assert client.predict(path.read_bytes() if as_bytes else path, "shapes") == {"prediction": 3}
    [request] = server.seen
    assert request.query == {"model": "shapes"}
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert path.read_bytes() in request.body


def test_an_image_may_be_asked_about_again(client: Client, server: TalkingServer, photos: Path) -> None:
    server.on("POST", "/predict", Answer(cut_after=-1), as_json({"prediction": 3}))
    assert client.predict(photos / "10.png") == {"prediction": 3}
    assert [request.query for request in server.seen] == [{}, {}]

"""Forms of POST /jobs: which files are one input, under which names, and what is refused at the door."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apiflask import APIFlask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from api import forms
from jobs import image_parts
from tests.unit.api.conftest import Client, MakeApp, mixed_frame

Sent = tuple[str, bytes, str | None]  # the part's name, its bytes, its file's name
END = b"--b--\r\n"
FORM = "multipart/form-data; boundary=b"


@pytest.fixture
def app(make_app: MakeApp, stocked: Path, tmp_path: Path) -> APIFlask:
    shutil.copytree(stocked, tmp_path / "copy")
    return make_app(tmp_path / "copy")


@pytest.fixture
def client(app: APIFlask) -> Client:
    return app.test_client()


class Store:
    """What an app has stored."""

    def __init__(self, app: APIFlask) -> None:
        self.root: Path = app.extensions["workshop"].files.root

    def files(self) -> list[Path]:
        return [path for name in ("inputs", "jobs", "staging") for path in (self.root / name).rglob("*")]

    def received(self) -> bytes:
        """The bytes of the only input."""
        [path] = self.root.glob("inputs/*/received")
        return path.read_bytes()

    def members(self) -> list[tuple[str, bytes]]:
        """The only input's members, in order."""
        with zipfile.ZipFile(io.BytesIO(self.received())) as archive:
            return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


@pytest.fixture
def store(app: APIFlask) -> Iterator[Store]:
    store = Store(app)
    yield store
    assert not list((store.root / "staging").glob("*"))


def picture(grey: int, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), grey, np.uint8)).save(out, form)
    return out.getvalue()


def part(name: str, content: bytes, file_name: str | None, more: str = "") -> bytes:
    said = "" if file_name is None else f'; filename="{file_name}"'
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"{said}{more}\r\n\r\n'.encode()
        + content
        + b"\r\n"
    )


def post(client: Client, *parts: Sent, **fields: str) -> Any:
    """Submit to the image model, unless the fields name another."""
    files = b"".join(part(*each) for each in parts)
    texts = b"".join(part(name, text.encode(), None) for name, text in {"model": "digits", **fields}.items())
    return client.post("/jobs", data=files + texts + END, content_type=FORM)


IMAGES = [picture(grey, form) for grey, form in ((10, "PNG"), (20, "JPEG"), (30, "GIF"))]


@pytest.mark.parametrize("name", sorted(forms.FILE_PARTS))
def test_several_images_are_one_archive_in_their_order(client: Client, store: Store, name: str) -> None:
    names = ["b.png", "a.jpg", "ö/雪.gif"]
    answer = post(client, *((name, image, called) for image, called in zip(IMAGES, names, strict=True)))
    assert answer.status_code == 202, answer.text
    assert answer.json["rows"]["total"] == 3
    assert (answer.json["input"]["format"], answer.json["input"]["name"]) == ("zip", "input.zip")
    assert answer.json["input"]["bytes"] == len(store.received())
    assert store.members() == list(zip(names, IMAGES, strict=True))


def test_names_of_parts_may_be_mixed_and_options_stand_anywhere(client: Client, store: Store) -> None:
    body = (
        part("name", b"monday", None)
        + part("image", IMAGES[0], "a.png")
        + part("model", b"digits", None)
        + part("files[]", IMAGES[1], "b.png")
        + part("tags", b"x", None)
        + part("tags", b"y", None)
        + END
    )
    answer = client.post("/jobs", data=body, content_type=FORM)
    assert answer.status_code == 202, answer.text
    assert (answer.json["name"], answer.json["tags"]) == ("monday", ["x", "y"])
    assert [name for name, _ in store.members()] == ["a.png", "b.png"]


def test_the_same_parts_are_the_same_input(client: Client) -> None:
    first, second, other = (
        post(client, *(("image", image, "same.png") for image in images))
        for images in (IMAGES, IMAGES, IMAGES[::-1])
    )
    assert first.json["input"]["sha256"] == second.json["input"]["sha256"] != other.json["input"]["sha256"]


@pytest.mark.parametrize("name", ["file", "image"])
def test_one_image_is_a_set_of_one_under_its_own_name(client: Client, store: Store, name: str) -> None:
    answer = post(client, (name, IMAGES[1], "digit.jpg"))
    assert (answer.json["rows"]["total"], answer.json["input"]["name"]) == (1, "digit.jpg")
    assert store.members() == [("digit.jpg", IMAGES[1])]


@pytest.mark.parametrize("name", ["file", "images"])
def test_one_file_that_is_no_image_stays_as_it_is(client: Client, store: Store, name: str) -> None:
    table = mixed_frame(5).to_csv(index=False).encode()
    answer = post(client, (name, table, "rows.csv"), model="churn")
    assert (answer.status_code, answer.json["input"]["name"]) == (202, "rows.csv")
    assert store.received() == table


def test_odd_names_are_left_to_planning_but_no_row_is_lost(client: Client, store: Store) -> None:
    names = ["", "../up.png", "folder/", "../up.png", '\\"a\\".png', "._b.png", None]
    body = b"".join(part("image", IMAGES[0], name) for name in names[:-1])
    body += part("image", IMAGES[0], None, "\r\nContent-Type: image/png")
    body += part("model", b"digits", None) + END
    assert client.post("/jobs", data=body, content_type=FORM).status_code == 202
    assert [name for name, _ in store.members()] == [
        "image-000001",
        "../up.png",
        "image-000003",
        "../up.png",
        '"a".png',
        "image-000006",
        "image-000007",
    ]


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("bad", [b"", b"not an image", IMAGES[0][:40]])
def test_a_bad_image_among_good_ones_is_a_member(
    client: Client, store: Store, position: int, bad: bytes
) -> None:
    sent = [*IMAGES[:2]]
    sent.insert(position, bad)
    assert post(client, *(("file", image, "x.png") for image in sent)).status_code == 202
    assert [data for _, data in store.members()] == sent


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a.png", IMAGES[0])
    return data.getvalue()


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    ("other", "noun"),
    [(archive(), "an archive"), (gzip.compress(b"a", mtime=0), "an archive"), (b"a,b\n" * 5000, "a table")],
)
def test_other_files_beside_images_are_refused(
    client: Client, store: Store, position: int, other: bytes, noun: str
) -> None:
    sent: list[Sent] = [("file", IMAGES[0], "a.png"), ("file", IMAGES[1], "b.png")]
    sent.insert(position, ("file", other, "other.bin"))
    answer = post(client, *sent)
    assert (answer.status_code, answer.json["code"]) == (422, "mixed_files")
    assert f"'other.bin' is {noun}" in answer.json["detail"]
    assert not store.files()


def test_a_dry_run_of_a_form_answers_and_keeps_nothing(client: Client, store: Store) -> None:
    answer = post(client, *(("image", image, f"{len(image)}.png") for image in IMAGES), dry_run="1")
    assert answer.status_code == 200, answer.text
    assert [row["error"] for row in answer.json["rows"]] == [None] * 3
    assert not store.files()


def test_images_for_a_model_of_tables_are_refused(client: Client, store: Store) -> None:
    answer = post(client, ("image", IMAGES[0], "a.png"), ("image", IMAGES[1], "b.png"), model="churn")
    assert (answer.status_code, answer.json["code"]) == (422, "wrong_input_kind")
    assert not store.files()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (part("data", b"a", "a.csv"), "'data'"),
        (part("file", b"a.csv", None), "an @"),
        (part("model", b"digits", None), "no file"),
        (part("", b"a", "a.csv"), "''"),
        (b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n", "Content-Disposition"),
        (b"--b\r\n" + b"x" * (1 << 20), "header"),
        (part("file", b"a", "b.png") + END + b"x" * (1 << 20), "end"),
        (part("model", b"x" * (1 << 20), None), "The fields have more"),
        (part("tags", b"x" * (200 << 10), None) * 3, "The fields have more"),
        (part("image", b"x", "a.png").replace(b"a.png", b"caf\xe9.png"), r"caf\xe9.png"),
        (part("tags", b"x", None) * 101, "100 fields"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_form_of_files_is_refused(client: Client, store: Store, body: bytes, said: str) -> None:
    answer = client.post("/jobs?model=digits", data=body + END, content_type=FORM)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_multipart")
    assert said in answer.json["detail"]
    assert not store.files()


@pytest.mark.parametrize(
    "body", [b"", b"--nothing", part("file", b"a", "b.png"), part("file", b"a", "b")[:40]]
)
def test_a_form_that_does_not_end_is_refused(client: Client, store: Store, body: bytes) -> None:
    answer = client.post("/jobs?model=digits", data=body, content_type=FORM)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_multipart")
    assert not store.files()


def test_a_form_without_a_boundary_is_refused(client: Client) -> None:
    answer = client.post("/jobs?model=digits", data=b"x", content_type="multipart/form-data")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_multipart")


PIECES = st.sampled_from(
    [
        part("image", IMAGES[0], "a.png"),
        part("file", b"a,b\n1,2\n", "a.csv"),
        part("model", b"digits", None),
        part("image", b"", ""),
        b"--b\r\n",
        END,
        b"\r\n",
        b'Content-Disposition: form-data; name="image"; filename="x"\r\n',
        b"Content-Disposition: form-data; name*=UTF-8''%ff; filename*=UTF-8''%ff\r\n",
        b"\xff",
    ]
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(PIECES | st.binary(max_size=20), max_size=8))
def test_no_bytes_make_a_server_error(client: Client, store: Store, pieces: list[bytes]) -> None:
    answer = client.post("/jobs?model=digits", data=b"".join(pieces), content_type=FORM)
    assert answer.status_code < 500, answer.text
    assert answer.status_code == 202 or not list((store.root / "staging").iterdir())


def test_too_many_files_are_refused_with_the_way_out(client: Client, store: Store) -> None:
    body = part("image", IMAGES[0], "a.png") * (image_parts.MAX_FILES + 1) + END
    answer = client.post("/jobs?model=digits", data=body, content_type=FORM)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "one zip or tar" in answer.json["detail"]
    assert not store.files()


def test_a_name_that_no_archive_can_hold_is_refused(client: Client, store: Store) -> None:
    answer = post(client, ("image", IMAGES[0], "n" * 5000), ("image", IMAGES[0], "b.png"))
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert not store.files()


def test_a_body_of_one_image_is_told_both_ways(client: Client, store: Store) -> None:
    for image in IMAGES:
        answer = client.post("/jobs?model=digits", data=image, content_type="image/png")
        assert (answer.status_code, answer.json["code"]) == (415, "unknown_format")
        assert "/predict" in answer.json["detail"]
        assert "-F image=@a.png" in answer.json["detail"]
    assert not store.files()

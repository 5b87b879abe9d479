"""The digits example through every door for images, as jobs and one by one: always the in-process answer."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from typer.testing import CliRunner

from rowmill import Client
from rowmill.cli import app
from rowmill.stack import Stack
from tests.e2e.serving import api_memory, curl, result, score, wait
from tests.e2e.test_submitting import stored

COUNT = 2000
FEW = [0, 7, 1500]


@dataclass(frozen=True)
class Digits:
    """The example's pictures as files in a folder, and what scikit-learn says about their pixels."""

    folder: Path
    names: list[str]
    expected: list[int]

    def data(self, number: int) -> bytes:
        return (self.folder / self.names[number]).read_bytes()

    def path(self, number: int) -> Path:
        return self.folder / self.names[number]


@pytest.fixture(scope="module")
def digits(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    folder = tmp_path_factory.mktemp("digits")
    with zipfile.ZipFile(trained / "digits.zip") as archive:
        members = archive.namelist()
        pictures = [archive.read(members[number % len(members)]) for number in range(COUNT)]
    names = [f"digit-{number:04}.png" for number in range(COUNT)]
    for name, picture in zip(names, pictures, strict=True):
        (folder / name).write_bytes(picture)
    pixels = [np.asarray(Image.open(io.BytesIO(picture)), dtype=float).ravel() for picture in pictures]
    expected = joblib.load(trained / "digits.joblib").predict(np.stack(pixels) / 255 * 16)
    return Digits(folder, names, expected.tolist())


def tarred(digits: Digits) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for number, name in enumerate(digits.names):
            info = tarfile.TarInfo(name)
            info.size = len(digits.data(number))
            tar.addfile(info, io.BytesIO(digits.data(number)))
    return sink.getvalue()


def zipped(digits: Digits, method: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for number, name in enumerate(digits.names):
            archive.writestr(name, digits.data(number))
    return sink.getvalue()


def packed(digits: Digits, form: str) -> bytes:
    if form.startswith("zip"):
        return zipped(digits, zipfile.ZIP_DEFLATED if form == "zip deflated" else zipfile.ZIP_STORED)
    if form == "tar.gz":
        return gzip.compress(tarred(digits))
    if form == "tar.zst":
        data: bytes = pa.compress(tarred(digits), codec="zstd", asbytes=True)
        return data
    return tarred(digits)


def check(scored: pd.DataFrame, digits: Digits, numbers: list[int]) -> None:
    assert scored["file"].tolist() == [digits.names[number] for number in numbers]
    assert scored["prediction"].tolist() == [digits.expected[number] for number in numbers]
    assert scored["error"].isna().all()


@pytest.mark.parametrize("form", ["zip", "zip deflated", "tar", "tar.gz", "tar.zst"])
def test_archives(url: str, digits: Digits, form: str) -> None:
    job = score(url, packed(digits, form), model="digits", chunk_rows=300)
    assert job["chunks"]["total"] == 7
    check(result(url, job).to_pandas(), digits, list(range(COUNT)))


@pytest.mark.parametrize("part", ["image", "files[]"])
@pytest.mark.parametrize("numbers", [[7], FEW, list(range(COUNT))], ids=len)
def test_forms(url: str, digits: Digits, numbers: list[int], part: str) -> None:
    files = [word for number in numbers for word in ("-F", f"{part}=@{digits.path(number)}")]
    status, job = curl(*files, "-F", "model=digits", "-F", "name=form", f"{url}/jobs")
    assert status == 202, job
    ended = wait(url, job["id"])
    assert (ended["status"], ended["rows"]["total"], ended["name"]) == ("succeeded", len(numbers), "form")
    check(result(url, ended).to_pandas(), digits, numbers)


def test_the_same_parts_give_the_same_result(url: str, digits: Digits) -> None:
    files = [word for number in FEW for word in ("-F", f"image=@{digits.path(number)}")]
    first, second = (wait(url, curl(*files, f"{url}/jobs?model=digits")[1]["id"]) for _ in range(2))
    assert first["id"] != second["id"]
    assert (first["input"]["sha256"], first["result"]) == (second["input"]["sha256"], second["result"])


def test_the_client_and_the_command_line(
    stack: Stack, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(stack.url) as client:
        check(client.score(digits.folder, model="digits"), digits, list(range(COUNT)))
        check(client.score([digits.path(number) for number in FEW], model="digits"), digits, FEW)
        assert client.predict(digits.path(7), "digits")["prediction"] == digits.expected[7]
        assert client.predict(digits.data(8), "digits")["prediction"] == digits.expected[8]
    monkeypatch.setenv("ROWMILL_URL", stack.url)
    ended = CliRunner().invoke(app, ["score", str(digits.folder), "-m", "digits", "-o", f"{tmp_path}/a.csv"])
    assert ended.exit_code == 0, ended.output
    check(pd.read_csv(tmp_path / "a.csv"), digits, list(range(COUNT)))


def single(url: str, digits: Digits, number: int, door: str, folder: Path) -> tuple[int, Any]:
    """One image to POST /predict, as somebody types it."""
    path, text = digits.path(number), base64.b64encode(digits.data(number)).decode()
    if door in ("image", "file"):
        return curl("-F", f"{door}=@{path}", "-F", "model=digits", f"{url}/predict")
    if door == "raw":
        return curl("--data-binary", f"@{path}", f"{url}/predict?model=digits")
    if door == "raw, typed":
        return curl(
            "--data-binary", f"@{path}", "-H", "Content-Type: image/png", f"{url}/predict?model=digits"
        )
    image = {
        "base64": text,
        "data URL": f"data:image/png;base64,{text}",
        "URL-safe": base64.urlsafe_b64encode(digits.data(number)).decode().rstrip("="),
        "b64": {"b64": text},
    }[door]
    body = folder / "body.json"
    body.write_text(json.dumps({"model": "digits", "image": image}))
    return curl("--json", f"@{body}", f"{url}/predict")


@pytest.mark.parametrize(
    "door", ["image", "file", "raw", "raw, typed", "base64", "data URL", "URL-safe", "b64"]
)
def test_single_images(url: str, digits: Digits, door: str, tmp_path: Path) -> None:
    for number in FEW:
        status, answer = single(url, digits, number, door, tmp_path)
        assert (status, answer["prediction"]) == (200, digits.expected[number]), answer


def test_several_single_images(url: str, digits: Digits) -> None:
    files = [word for number in FEW for word in ("-F", f"image=@{digits.path(number)}")]
    status, form = curl(*files, f"{url}/predict?model=digits")
    texts = [base64.b64encode(digits.data(number)).decode() for number in FEW]
    listed = httpx.post(f"{url}/predict", json={"model": "digits", "images": texts}).json()
    assert (status, form) == (200, listed)
    found = [(each["index"], each["prediction"]) for each in form["predictions"]]
    assert found == list(enumerate(digits.expected[number] for number in FEW))


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [("a,b\n1,2\n3,4\n", 422, "mixed_files"), ("PK\x03\x04 an archive", 422, "mixed_files")],
    ids=["table", "archive"],
)
def test_images_come_without_other_files(
    stack: Stack, digits: Digits, tmp_path: Path, *, bad: str, status: int, code: str
) -> None:
    (tmp_path / "other").write_text(bad)
    before = stored(stack)
    files = [
        "-F",
        f"file=@{digits.path(1)}",
        "-F",
        f"file=@{digits.path(2)}",
        "-F",
        f"file=@{tmp_path}/other",
    ]
    answer = curl(*files, f"{stack.url}/jobs?model=digits")
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert stored(stack) == before


def test_bad_parts_are_bad_rows(url: str, digits: Digits, tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(digits.data(1)[:50])
    (tmp_path / "note.txt").write_text("not an image")
    paths = [tmp_path / "empty.png", digits.path(1), tmp_path / "cut.png", tmp_path / "note.txt"]
    paths += [digits.path(1), digits.path(2)]
    files = [word for path in paths for word in ("-F", f"file=@{path}")]
    status, job = curl(*files, "-F", "file=@/dev/null;filename=../up.png", f"{url}/jobs?model=digits")
    assert status == 202, job
    ended = wait(url, job["id"])
    scored = result(url, ended).to_pandas()
    assert scored["file"].tolist() == [*(path.name for path in paths), "../up.png"]
    codes = scored["error"].where(scored["error"].notna(), "").tolist()
    assert codes == [
        "empty_member",
        "",
        "image_unreadable",
        "image_unreadable",
        "duplicate_name",
        "",
        "unsafe_name",
    ]
    assert scored["prediction"].dropna().tolist() == [digits.expected[1], digits.expected[2]]


def test_a_form_over_the_cap_is_refused(stack: Stack, tmp_path: Path) -> None:
    before = stored(stack)
    picture = Image.effect_noise((2200, 2200), 99)  # nearly 5 MB as BMP
    picture.save(tmp_path / "large.bmp")
    count = stack.settings.max_upload_bytes // (tmp_path / "large.bmp").stat().st_size + 1
    files = ["-F", f"image=@{tmp_path / 'large.bmp'}"] * count
    for how in ([], ["-H", "Transfer-Encoding: chunked"]):
        status, problem = curl(*files, *how, f"{stack.url}/jobs?model=digits")
        assert (status, problem["code"]) == (413, "too_large")
        assert stored(stack) == before


def test_a_form_of_too_many_files_is_refused(stack: Stack, digits: Digits, tmp_path: Path) -> None:
    before = stored(stack)
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    (tmp_path / "form").write_bytes((head + digits.data(1) + b"\r\n") * 10_001 + b"--b--\r\n")
    typed = ["-H", "Content-Type: multipart/form-data; boundary=b"]
    status, problem = curl(*typed, "--data-binary", f"@{tmp_path / 'form'}", f"{stack.url}/jobs?model=digits")
    assert (status, problem["code"]) == (413, "too_large")
    assert "one zip or tar" in problem["detail"]
    assert stored(stack) == before


@pytest.mark.parametrize("small", [True, False])
def test_a_form_is_not_held_in_memory(stack: Stack, digits: Digits, tmp_path: Path, small: bool) -> None:
    Image.effect_noise((3000, 3000), 99).save(tmp_path / "large.bmp")  # 9 MB
    paths = [digits.path(number) for number in range(COUNT)] if small else [tmp_path / "large.bmp"] * 5
    few = [word for number in FEW for word in ("-F", f"image=@{digits.path(number)}")]
    many = [word for path in paths for word in ("-F", f"image=@{path}")]
    for _ in range(12):  # both processes have loaded what a submission needs
        curl(*few, f"{stack.url}/jobs?model=digits")
    before = api_memory(stack)
    status, job = curl(*many, f"{stack.url}/jobs?model=digits")
    assert status == 202, job
    assert api_memory(stack) - before < 15_000_000
    wait(stack.url, job["id"])

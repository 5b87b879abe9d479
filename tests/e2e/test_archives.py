"""Image sets through the whole stack: every good image right, every bad member with its reason."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rowmill.stack import Stack
from tests.e2e.serving import errors, result, score, submit, wait
from tests.hostile_archives import Hostile, hostile_tar, hostile_zip, tarred, zipped

GOOD = 60


@pytest.fixture(scope="module")
def digits(trained: Path) -> list[bytes]:
    """Good images, each another one."""
    with zipfile.ZipFile(trained / "digits.zip") as archive:
        return [archive.read(name) for name in archive.namelist()[:GOOD]]


@pytest.fixture(scope="module")
def answers(trained: Path, digits: list[bytes]) -> list[int]:
    """What the estimator says of the good images, without the product."""
    pixels = [np.asarray(Image.open(io.BytesIO(image)).convert("L"), dtype=float) for image in digits]
    estimator = joblib.load(trained / "digits.joblib")
    return [int(label) for label in estimator.predict(np.stack([p.ravel() / 255 * 16 for p in pixels]))]


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


PACK: dict[str, Callable[[bytes], bytes]] = {"tar": bytes, "tar.gz": gzip.compress, "tar.zst": zstd}


def hostile(form: str, digits: list[bytes]) -> Hostile:
    if form == "zip":
        return hostile_zip(digits)
    made = hostile_tar(digits)
    return Hostile(PACK[form](made.content), made.rows)


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.zst"])
def test_every_good_row_is_right_and_every_bad_row_says_why(
    stack: Stack, digits: list[bytes], answers: list[int], form: str
) -> None:
    archive = hostile(form, digits)
    job = score(stack.url, archive.content, model="digits", chunk_rows=7)
    assert job["chunks"]["total"] >= len(archive.rows) // 7
    scored = result(stack.url, job).to_pydict()
    assert list(zip(scored["file"], scored["error"], strict=True)) == archive.rows
    good = [answer for answer, error in zip(scored["prediction"], scored["error"], strict=True) if not error]
    assert good == answers
    bad = [row for row, (_, code) in enumerate(archive.rows) if code]
    listed = errors(stack.url, job)
    assert [(error["row"], error["code"]) for error in listed] == [(row, archive.rows[row][1]) for row in bad]
    assert all(len(error["message"]) > 20 for error in listed)
    assert job["rows"] == {"total": len(archive.rows), "done": len(archive.rows), "failed": len(bad)}
    assert [("cut off" in warning) for warning in job["warnings"]] == ([] if form == "zip" else [True])
    assert not list(stack.settings.data_dir.rglob("*.png"))


REFUSED: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "cut": (lambda good: zipped({"a.png": good})[:-30], 422, "unreadable_bytes"),
    "count": (
        lambda good: zipped({"a.png": good}).replace(b"\1\0\1\0", b"\2\0\2\0"),
        422,
        "unreadable_bytes",
    ),
    "no files": (lambda _: zipped({"folder/": b""}), 422, "empty_input"),
    "encrypted": (
        lambda good: zipped({"a.png": good}).replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        422,
        "encrypted",
    ),
    "office": (lambda _: zipped({"[Content_Types].xml": b"x"}), 415, "unknown_format"),
    "zip in gzip": (lambda good: gzip.compress(zipped({"a.png": good})), 415, "unknown_format"),
    "tar header": (lambda good: b"b" + tarred({"a.png": good})[1:], 422, "unreadable_bytes"),
    "tar without files": (lambda _: tarred({}), 422, "empty_input"),
    "7z": (lambda _: b"7z\xbc\xaf\x27\x1c" + bytes(99), 415, "unknown_format"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_an_archive_that_is_no_use_is_refused_at_once(url: str, digits: list[bytes], kind: str) -> None:
    make, status, code = REFUSED[kind]
    answer = submit(url, make(digits[0]), model="digits")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_damage_behind_the_head_fails_the_job_and_says_where(url: str, digits: list[bytes]) -> None:
    content = bytearray(tarred({"a.png": b"\1" * (2 << 20), "b.png": digits[0]}))
    content[512 + (2 << 20) + 100] ^= 1
    answer = submit(url, bytes(content), model="digits")
    assert answer.status_code == 202
    job = wait(url, answer.json()["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "unreadable_bytes")
    assert "behind 'a.png'" in job["error"]["message"]


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_a_dry_run_shows_the_first_ten_images(
    url: str, digits: list[bytes], answers: list[int], form: str
) -> None:
    files = {f"{number}.png": image for number, image in enumerate(digits)}
    content = zipped(files) if form == "zip" else tarred(files)
    answer = submit(
        url, gzip.compress(content) if form == "tar.gz" else content, model="digits", dry_run="1"
    ).json()
    assert [row["file"] for row in answer["rows"]] == [f"{number}.png" for number in range(10)]
    assert [row["prediction"] for row in answer["rows"]] == answers[:10]
    assert answer["errors"] == []

"""What a file is by its first bytes: every image format that Pillow writes, and what is no image."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from PIL import Image

from base.formats.content import HEAD_BYTES, content_of, is_image
from models.image_headers import reader


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_of_every_format(form: str, mode: str) -> None:
    data = io.BytesIO()
    Image.new(mode, (7, 5)).save(data, form)
    assert content_of(data.getvalue()[:HEAD_BYTES]) == "image"
    assert reader(data.getvalue()) is not None


@pytest.mark.parametrize("data", [b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"])
def test_beginnings_that_pillow_does_not_write(data: bytes) -> None:
    assert is_image(data)
    assert reader(data) is not None


def archives() -> list[bytes]:
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", b"x")
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.png"))
    return [packed.getvalue(), tarred.getvalue(), gzip.compress(b"a,b\n"), b"Rar!\x1a\x07\x00"]


@pytest.mark.parametrize("data", archives(), ids=lambda data: repr(data[:4]))
def test_archives(data: bytes) -> None:
    assert content_of(data[:HEAD_BYTES]) == "archive"


@pytest.mark.parametrize(
    "data",
    [b"PAR1\x15\x04", b"BMI,age\n3,4\n", b"id;name\r\n1;x\r\n", b'{"a": 1}\n{"a": 2}\n', b"a\tb\n1\t2\n3"],
)
def test_tables(data: bytes) -> None:
    assert content_of(data) == "table"


@pytest.mark.parametrize(
    "data",
    [b"", b"BM", b"RIFF1234WAVE", b"not an image", b"Dear all,\nthe pictures are\n", b"\x00,\x01\n\x00,\x01"],
)
def test_anything_else_is_not_known(data: bytes) -> None:
    assert content_of(data) is None
    assert not is_image(data)

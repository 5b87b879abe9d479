"""Bytes that are no image, or are made to hurt: each is a BadImage, or pixels of the right shape."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.errors import BadImage
from models.image_headers import MAX_PIXELS, MAX_SCANS, MAX_SEGMENTS, MAX_SIDE
from models.images import decode_image
from models.manifest import ImageSpec
from tests.unit.models.picturing import FORMATS, encoded, noise, tiff

SPEC = ImageSpec(width=3, height=2, mode="RGB")
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
]
FILES = [encoded(noise(5, 4), form, **options) for form, options in KINDS]
NAMES = [form + "".join(map(str, options.values())) for form, options in KINDS]


def bad(data: bytes, spec: ImageSpec = SPEC) -> BadImage:
    with pytest.raises(BadImage) as caught:
        decode_image(data, spec)
    return caught.value


@pytest.mark.parametrize("data", FILES, ids=NAMES)
def test_a_file_cut_off_anywhere_is_a_bad_image_or_whole(data: bytes) -> None:
    whole = decode_image(data, SPEC)
    for length in range(len(data)):
        try:
            found = decode_image(data[:length], SPEC)
        except BadImage:
            continue
        assert length > len(data) - 25  # what is missing is behind the pixels
        np.testing.assert_array_equal(found, whole)


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6))
def test_a_damaged_file_is_a_bad_image_or_pixels(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    with suppress(BadImage):
        assert decode_image(bytes(damaged), SPEC).shape == SPEC.shape


@given(st.sampled_from(FILES), st.integers(0), st.binary(max_size=80))
def test_a_file_with_a_strange_end_is_a_bad_image_or_pixels(data: bytes, at: int, rest: bytes) -> None:
    with suppress(BadImage):
        assert decode_image(data[: at % len(data)] + rest, SPEC).shape == SPEC.shape


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello", "of 5 bytes is not JPEG, PNG, GIF, BMP, TIFF or WebP"),
        (b"GIF89a" + bytes(20), "not a complete GIF file"),
        (b"\x89PNG\r\n\x1a\n", "not a complete PNG file"),
        (b"%PDF-1.7", "is not JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not JPEG"),
    ],
)
def test_what_is_no_image_says_so(data: bytes, words: str) -> None:
    refused = bad(data)
    assert refused.code == "image_unreadable"
    assert words in refused.message


@pytest.mark.parametrize("form", ["PPM", "ICNS", "TGA", "JPEG2000", "PCX", "SGI"])
def test_other_formats_are_not_even_tried(form: str) -> None:
    assert "is not JPEG" in bad(encoded(noise(16, 16), form)).message


@pytest.mark.parametrize("data", FILES, ids=NAMES)
def test_the_same_bytes_have_the_same_reason(data: bytes) -> None:
    cut = data[: len(data) // 2]
    assert bad(cut).message == bad(cut).message
    assert "0x" not in bad(cut).message


def png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [header, b"IDAT"]
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + head + bytes(46)


def webp(width: int, height: int) -> bytes:
    small = encoded(noise(2, 2), "WEBP", lossless=True)
    assert small[12:16] == b"VP8L"
    return small[:21] + struct.pack("<I", (width - 1) | (height - 1) << 14) + small[25:]


def tiff_of(width: int, height: int, **tiles: int) -> bytes:
    plain = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1}
    if tiles:
        return tiff({**plain, 322: tiles["across"], 323: tiles["down"], 324: 8, 325: 8})
    return tiff({**plain, 273: 8, 278: height, 279: 8})


@pytest.mark.parametrize("make", [png, gif, bmp, webp, tiff_of])
@pytest.mark.parametrize("size", [(8_000, 8_000), (10_000, 10_000), (16_000, 16_000)])
def test_a_bomb_is_refused_from_its_header(make: Any, size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MAX_PIXELS
    assert bad(make(*size)).code == "image_too_large"


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_far_smaller_than_its_pixels_is_not_decoded(form: str) -> None:
    blank = Image.new("RGB", (2500, 2500), "white")
    data = encoded(blank, form, **({"lossless": True} if form == "WEBP" else {}))
    if form == "WEBP":
        refused = bad(data)
        assert refused.code == "image_too_large"
        assert f"of {len(data)} bytes unpacks to {2500 * 2500 * 3}" in refused.message
    else:
        assert set(decode_image(data, SPEC)) == {255.0}


@pytest.mark.parametrize("make", [png, bmp, tiff_of])
def test_a_side_may_not_be_endless(make: Any) -> None:
    assert bad(make(MAX_SIDE + 1, 1)).code == "image_too_large"
    assert bad(make(1, MAX_SIDE + 1)).code == "image_too_large"


def test_the_tiles_of_a_tiff_are_bounded_too() -> None:
    refused = bad(tiff_of(16, 16, across=65_536, down=32_768))
    assert refused.code == "image_too_large"
    assert "tiles of 65536 x 32768" in refused.message


JFIF = 20  # the bytes of the start and the first segment
SEGMENTS = b"\xff\xe1\x00\x09Exif\0\0x" * (MAX_SEGMENTS + 1)


@pytest.mark.parametrize("middle", [SEGMENTS, b"\xff" * 9 + SEGMENTS, b"junk" + SEGMENTS, b"\xff" * 5000])
def test_a_jpeg_of_endless_segments_is_not_decoded(middle: bytes) -> None:
    data = encoded(noise(5, 4), "JPEG")
    assert bad(data[:JFIF] + middle + data[JFIF:]).code == "image_too_large"


@pytest.mark.parametrize("before", [b"", b"\xff\xff\xff", b"junk"])
def test_a_jpeg_of_endless_scans_is_not_decoded(before: bytes) -> None:
    data = encoded(noise(64, 64), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    many = data[:JFIF] + before + data[JFIF:-2] + scan * MAX_SCANS + data[-2:]
    assert bad(many).code == "image_too_large"
    few = data[:JFIF] + before + data[JFIF:-2] + scan * 5 + data[-2:]
    assert decode_image(few, SPEC).shape == SPEC.shape


def test_an_ordinary_progressive_jpeg_with_a_large_profile_is_no_bomb() -> None:
    picture = Image.fromarray(noise(64, 64))
    data = encoded(picture, "JPEG", progressive=True, icc_profile=bytes(300_000), comment=b"x" * 60_000)
    assert decode_image(data, SPEC).shape == SPEC.shape


def test_a_machine_without_memory_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", full)
    with pytest.raises(MemoryError):
        decode_image(FILES[0], SPEC)


def test_libraries_say_nothing_on_the_output_of_the_process() -> None:
    """libtiff writes to the file descriptor itself, past all that Python could catch."""
    script = """
import sys
from models.errors import BadImage
from models.images import decode_image
from models.manifest import ImageSpec

bad = 0
for line in sys.stdin:
    try:
        decode_image(bytes.fromhex(line), ImageSpec(width=2, height=2))
    except BadImage:
        bad += 1
print(bad)
"""
    good = encoded(noise(9, 9), "TIFF", compression="tiff_lzw")
    files = [good[:8] + bytes([255 - value]) + good[9:] for value in range(5)]
    files += [good[:at] + bytes([good[at] ^ 255]) + good[at + 1 :] for at in range(8, len(good))]
    lines = "\n".join(data.hex() for data in files)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    assert int(done.stdout) > len(files) / 3
    assert done.stderr == ""

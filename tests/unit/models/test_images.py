"""Images to numbers, and images that are none."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.errors import BadImage
from models.images import MAX_PIXELS, decode_image
from models.manifest import ImageSpec

GREY = ImageSpec(width=2, height=3, mode="L", scale=255)


def encoded(pixels: np.ndarray, format_name: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format_name)
    return out.getvalue()


def test_pixels_come_row_by_row_and_untouched_at_full_scale() -> None:
    pixels = np.array([[0, 1], [2, 3], [254, 255]], dtype=np.uint8)
    row = decode_image(encoded(pixels), GREY)
    assert row.dtype == np.float64
    assert row.tolist() == [0, 1, 2, 3, 254, 255]


def test_scale_is_what_a_full_pixel_becomes() -> None:
    pixels = np.array([[0, 255], [51, 102], [255, 255]], dtype=np.uint8)
    spec = GREY.model_copy(update={"scale": 16.0})
    assert decode_image(encoded(pixels), spec).tolist() == [0, 16, 3.2, 6.4, 16, 16]


def test_colours_of_a_pixel_stand_together() -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    spec = ImageSpec(width=2, height=3, mode="RGB")
    assert decode_image(encoded(pixels), spec).tolist() == list(range(18))
    assert spec.features == 18


def test_a_larger_image_becomes_means_of_boxes() -> None:
    pixels = np.kron(np.array([[10, 20], [30, 40], [50, 60]]), [[1, 1], [1, 1]]).astype(np.uint8)
    pixels[0, 0] += 4
    assert decode_image(encoded(pixels), GREY).tolist() == [11, 20, 30, 40, 50, 60]


def test_jpeg_and_colour_are_converted_to_the_mode() -> None:
    pixels = np.full((3, 2, 3), 128, dtype=np.uint8)
    assert np.allclose(decode_image(encoded(pixels, "JPEG"), GREY), 128, atol=2)


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a" + bytes(20), b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_a_bad_image(data: bytes) -> None:
    with pytest.raises(BadImage) as bad:
        decode_image(data, GREY)
    assert bad.value.code == "image_unreadable"


def test_other_formats_are_not_even_tried() -> None:
    with pytest.raises(BadImage, match="Not a complete PNG or JPEG"):
        decode_image(encoded(np.zeros((3, 2), dtype=np.uint8), "BMP"), GREY)


@given(st.data())
def test_a_damaged_file_gives_numbers_or_a_bad_image(data: st.DataObject) -> None:
    good = encoded(np.arange(6, dtype=np.uint8).reshape(3, 2), data.draw(st.sampled_from(["PNG", "JPEG"])))
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    with suppress(BadImage):
        assert decode_image(damaged, GREY).shape == (6,)


def test_a_truncated_file_is_a_bad_image() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(noise, "PNG")
    with pytest.raises(BadImage, match="OSError"):
        decode_image(data[: len(data) // 2], GREY)


@pytest.mark.parametrize("side", [7_000, 11_000, 60_000])
def test_a_bomb_is_refused_from_its_header(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert side * side > MAX_PIXELS
    with pytest.raises(BadImage) as bad:
        decode_image(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")), GREY)
    assert bad.value.code == "image_too_large"


def test_sixteen_bits_a_pixel_are_refused_rather_than_cut() -> None:
    with pytest.raises(BadImage) as bad:
        decode_image(encoded(np.full((3, 2), 40_000, dtype=np.uint16)), GREY)
    assert bad.value.code == "image_unsupported"

"""Images to numbers: every step as Pillow and a NumPy formula do it, for every format and mode."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from models.errors import BadImage
from models.images import decode_image, decode_picture, model_rows
from models.manifest import ImageSpec
from tests.unit.models.picturing import FORMATS, encoded, noise, plainly, tiff

GREY = ImageSpec(width=2, height=3, mode="L")
COLOUR = ImageSpec(width=5, height=4, mode="RGB")
ANY_GREY, ANY_COLOUR = ImageSpec(mode="L"), ImageSpec(mode="RGB")


def test_pixels_come_row_by_row_and_untouched_at_full_scale() -> None:
    pixels = np.array([[0, 1], [2, 3], [254, 255]], dtype=np.uint8)
    row = decode_image(encoded(pixels), GREY)
    assert row.dtype == np.float64
    assert row.tolist() == [0, 1, 2, 3, 254, 255]


def test_the_range_is_what_empty_and_full_pixels_become() -> None:
    pixels = np.array([[0, 255], [51, 102], [255, 255]], dtype=np.uint8)
    spec = GREY.model_copy(update={"high": 16.0})
    assert decode_image(encoded(pixels), spec).tolist() == [0, 16, 3.2, 6.4, 16, 16]
    turned = GREY.model_copy(update={"low": 1.0, "high": -1.0})
    assert decode_image(encoded(pixels), turned).tolist()[:2] == [1, -1]


def test_a_larger_image_becomes_means_of_boxes() -> None:
    pixels = np.kron(np.array([[10, 20], [30, 40], [50, 60]]), [[1, 1], [1, 1]]).astype(np.uint8)
    pixels[0, 0] += 4
    assert decode_image(encoded(pixels), GREY).tolist() == [11, 20, 30, 40, 50, 60]


NUMBERS = st.floats(-1e3, 1e3)


@st.composite
def specs(draw: st.DrawFn) -> ImageSpec:
    mode = draw(st.sampled_from(["L", "RGB"]))
    counts = st.sampled_from([0, 1, 3] if mode == "RGB" else [0, 1])
    mean, std = draw(counts), draw(counts)
    low, high = draw(st.lists(NUMBERS, min_size=2, max_size=2, unique=True))
    return ImageSpec(
        width=draw(st.integers(1, 9)),
        height=draw(st.integers(1, 9)),
        mode=mode,
        resize=draw(st.sampled_from(["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])),
        low=low,
        high=high,
        mean=tuple(draw(st.lists(NUMBERS, min_size=mean, max_size=mean))),
        std=tuple(draw(st.lists(st.floats(1e-3, 1e3), min_size=std, max_size=std))),
        layout=draw(st.sampled_from(["flat", "HWC", "CHW"])),
    )


@given(specs(), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.sampled_from(FORMATS))
def test_every_spec_is_the_formula_to_the_bit(
    spec: ImageSpec, width: int, height: int, seed: int, form: str
) -> None:
    data = encoded(noise(width, height, seed=seed), form)
    found = decode_image(data, spec)
    assert found.shape == spec.shape
    assert spec.features == found.size
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, plainly(data, spec))


@given(specs(), st.integers(1, 5))
def test_many_images_are_the_same_rows_as_one_by_one(spec: ImageSpec, count: int) -> None:
    files = [encoded(noise(6, 7, seed=seed)) for seed in range(count)]
    rows = model_rows([decode_picture(data, spec) for data in files], spec)
    assert rows.shape == (count, *spec.shape)
    for row, data in zip(rows, files, strict=True):
        np.testing.assert_array_equal(row, decode_image(data, spec))


def test_images_of_any_size_are_given_as_they_are() -> None:
    wide, high = noise(7, 3), noise(2, 9)
    rows = model_rows([decode_picture(encoded(each), ANY_COLOUR) for each in (wide, high)], ANY_COLOUR)
    assert rows.shape == (2,)
    assert rows.dtype == object
    np.testing.assert_array_equal(rows[0], wide)
    np.testing.assert_array_equal(rows[1], high)
    grey = decode_image(encoded(noise(7, 3, 1)), ANY_GREY)
    np.testing.assert_array_equal(grey, noise(7, 3, 1))
    assert grey.dtype == np.uint8


def test_one_image_of_any_size_is_one_row_too() -> None:
    rows = model_rows([decode_picture(encoded(noise(4, 4)), ANY_COLOUR)], ANY_COLOUR)
    assert rows.shape == (1,)
    assert rows[0].shape == (4, 4, 3)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("draft", [False, True])
def test_images_are_turned_upright(form: str, number: int, draft: bool) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a tag before it"
    exif[0x0112] = number
    data = encoded(noise(11, 6), form, exif=exif)
    spec = COLOUR.model_copy(update={"draft": draft})
    np.testing.assert_array_equal(decode_image(data, spec), plainly(data, spec))


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0??"],
)
def test_a_damaged_exif_block_is_none(exif: bytes) -> None:
    pixels = noise(5, 4)
    found = decode_image(encoded(pixels, "PNG", exif=exif), COLOUR)
    np.testing.assert_array_equal(found, pixels.reshape(-1))


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("spec", [ANY_GREY, ANY_COLOUR], ids=str)
def test_transparent_pixels_show_white_behind_them(mode: str, form: str, spec: ImageSpec) -> None:
    if (mode, form) == ("PA", "PNG"):
        return  # there is no such PNG
    pixels = np.full((2, 2, 4), 100, dtype=np.uint8)
    pixels[..., 3] = [[255, 0], [0, 51]]
    data = encoded(Image.fromarray(pixels).convert(mode), form, lossless=True)
    found = decode_image(data, spec).reshape(2, 2, -1)[..., 0].tolist()
    assert found == [[100, 255], [255, 224]]


def palette(transparency: Any, form: str) -> bytes:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    return encoded(image, form, **({"transparency": transparency} if transparency is not None else {}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (palette(None, "PNG"), [[10, 20, 30], [40, 50, 60], [70, 80, 90]]),
        (palette(None, "BMP"), [[10, 20, 30], [40, 50, 60], [70, 80, 90]]),
        (palette(None, "TIFF"), [[10, 20, 30], [40, 50, 60], [70, 80, 90]]),
        (palette(1, "PNG"), [[10, 20, 30], [255, 255, 255], [70, 80, 90]]),
        (palette(1, "GIF"), [[10, 20, 30], [255, 255, 255], [70, 80, 90]]),
        (palette(b"\xff\x00\x33", "PNG"), [[10, 20, 30], [255, 255, 255], [218, 220, 222]]),
    ],
)
def test_palettes_are_looked_up(data: bytes, expected: list[list[int]]) -> None:
    assert decode_image(data, ANY_COLOUR)[0].tolist() == expected


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_is_black_or_white(form: str) -> None:
    data = encoded(Image.fromarray(np.array([[True, False, True]])), form)
    assert decode_image(data, ANY_GREY).tolist() == [[255, 0, 255]]


def test_a_transparent_colour_is_white() -> None:
    data = encoded(noise(4, 1, 1) // 2, transparency=int(noise(4, 1, 1)[0, 2]) // 2)
    found = decode_image(data, ANY_GREY)[0].tolist()
    assert found == [value // 2 if at != 2 else 255 for at, value in enumerate(noise(4, 1, 1)[0].tolist())]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_read_by_the_high_byte(form: str, order: str) -> None:
    values = np.array([[0, 255, 256, 65_535, 0x1234]], dtype=order)
    assert decode_image(encoded(values, form), ANY_GREY).tolist() == [[0, 0, 1, 255, 0x12]]
    assert decode_image(encoded(values, form), ANY_COLOUR)[0, 4].tolist() == [0x12] * 3


def test_sixteen_bits_of_grey_may_have_a_transparent_value_or_start_at_white() -> None:
    values = np.array([[0, 5000, 65_535]], dtype=np.uint16)
    clear = encoded(values, "PNG", transparency=5000)
    assert decode_image(clear, ANY_GREY).tolist() == [[0, 255, 255]]
    inverse = encoded(values, "TIFF", tiffinfo={262: 0})
    assert decode_image(inverse, ANY_GREY).tolist() == [[255, 236, 0]]


def test_twelve_bits_of_grey_are_read_by_the_highest_eight() -> None:
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1, 278: 1, 279: 3}
    assert decode_image(tiff(tags) + b"\xab\xc1\x23", ANY_GREY).tolist() == [[0xAB, 0x12]]


@pytest.mark.parametrize("values", [np.array([[70_000, -5]], np.int32), np.array([[0.5, 2]], np.float32)])
def test_numbers_that_have_no_eight_bits_are_refused(values: np.ndarray) -> None:
    with pytest.raises(BadImage, match="save it as 8-bit") as bad:
        decode_image(encoded(values, "TIFF"), GREY)
    assert bad.value.code == "image_unsupported"


@pytest.mark.parametrize(("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "TIFF")])
@pytest.mark.parametrize("target", ["L", "RGB"])
def test_other_colours_are_converted(mode: str, form: str, target: Any) -> None:
    data = encoded(Image.fromarray(noise(5, 4)).convert(mode), form)
    spec = ImageSpec(width=3, height=3, mode=target)
    np.testing.assert_array_equal(decode_image(data, spec), plainly(data, spec))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_counts(form: str) -> None:
    first, second = Image.new("RGB", (4, 4), (250, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 250))
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    data = encoded(first, form, save_all=True, append_images=[second], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2  # type: ignore[attr-defined]
    assert decode_image(data, ANY_COLOUR)[0, 0].tolist() == [250, 0, 0]


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize(("mode", "away"), [("RGB", 2), ("L", 2)])
def test_draft_decodes_a_large_jpeg_at_reduced_size(number: int, mode: Any, away: float) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    smooth = Image.fromarray(noise(8, 6) // 2 + 60).resize((800, 600), Image.Resampling.BICUBIC)
    full = ImageSpec(width=60, height=20, mode=mode, resize="bilinear")
    draft = full.model_copy(update={"draft": True})
    data = encoded(smooth, "JPEG", exif=exif)
    exact, near = decode_image(data, full), decode_image(data, draft)
    assert not np.array_equal(exact, near)
    assert np.abs(exact - near).max() <= away


def test_draft_reads_other_formats_and_small_images_in_full() -> None:
    full = ImageSpec(width=60, height=20, mode="RGB")
    draft = full.model_copy(update={"draft": True})
    for data in (encoded(noise(800, 600), "PNG"), encoded(noise(239, 79), "JPEG")):
        np.testing.assert_array_equal(decode_image(data, full), decode_image(data, draft))


def test_warnings_of_pillow_stay_inside() -> None:
    warned = encoded(noise(5, 4), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\0" + bytes(40))
    with warnings.catch_warnings(record=True, action="always") as caught:
        Image.open(io.BytesIO(warned)).getexif()
        assert [each.filename.split("/")[-2] for each in caught] == ["PIL"] * len(caught) != []
        caught.clear()
        decode_image(warned, COLOUR)
        warnings.warn("of others", stacklevel=1)
    assert [str(each.message) for each in caught] == ["of others"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 3}, "stand together"),
        ({"width": 3, "height": 3, "low": 255.0}, "the same number"),
        ({"width": 3, "height": 3, "mean": (1.0, 2.0, 3.0)}, "mean has 3 numbers, mode L takes 1"),
        ({"width": 3, "height": 3, "std": (0.0,)}, "greater than 0"),
        ({"layout": "CHW"}, "any size"),
        ({"width": 3, "height": 3, "colour": "RGB"}, "Extra inputs"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ImageSpec(**fields)


def test_what_was_recorded_at_first_is_still_understood() -> None:
    old = {"width": 8, "height": 8, "mode": "RGB", "scale": 16.0, "resample": "box"}
    assert ImageSpec.model_validate(old) == ImageSpec(width=8, height=8, mode="RGB", high=16.0)

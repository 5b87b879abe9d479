"""The code in docs/images.md does what models/images.py does, and its tables name every code and option."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from models.image_headers import FREE_BYTES, MAX_PIXELS, MAX_RATIO, MAX_SCANS, MAX_SEGMENTS, MAX_SIDE
from models.images import decode_image
from models.manifest import ImageSpec, Layout, Resize
from tests.unit.models.picturing import FORMATS, encoded, noise

PAGE = (Path(__file__).parents[3] / "docs" / "images.md").read_text(encoding="utf-8")
SPEC = ImageSpec(
    width=32,
    height=24,
    mode="RGB",
    resize="bilinear",
    high=1,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    layout="CHW",
)
EXIF = Image.Exif()
EXIF[0x0112] = 8


@pytest.fixture(scope="module")
def numbers() -> Callable[[Any], np.ndarray]:
    """The function on the page."""
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[[Any], np.ndarray] = names["numbers"]
    return found


@pytest.mark.parametrize(
    "data",
    [
        *(encoded(noise(50, 40), form) for form in FORMATS),
        encoded(noise(50, 40), "JPEG", exif=EXIF),
        encoded(noise(50, 40, 4)),
        encoded(noise(50, 40, 1), transparency=3),
        encoded(Image.fromarray(noise(50, 40, 4)).convert("LA")),
        encoded(noise(50, 40).astype(np.uint16)[..., 0] * 257),
        encoded(Image.fromarray(noise(50, 40)).convert("P")),
        encoded(Image.fromarray(noise(50, 40)).convert("1")),
        encoded(Image.fromarray(noise(50, 40)).convert("CMYK"), "JPEG"),
    ],
)
def test_the_code_on_the_page_is_what_is_done(data: bytes, numbers: Callable[[Any], np.ndarray]) -> None:
    np.testing.assert_array_equal(decode_image(data, SPEC), numbers(io.BytesIO(data)))


@pytest.mark.parametrize("word", [*get_args(Resize), *get_args(Layout)])
def test_every_filter_and_layout_is_named(word: str) -> None:
    assert re.search(rf"\b{word}\b", PAGE)


@pytest.mark.parametrize("code", ["image_unreadable", "image_too_large", "image_unsupported"])
def test_every_code_is_explained(code: str) -> None:
    assert f"| `{code}` |" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    limits = f"over {MAX_PIXELS // 10**6} million pixels, or {MAX_SIDE:,} a side"
    assert limits in PAGE
    assert f"over {FREE_BYTES >> 20} MiB of pixels that are more than {MAX_RATIO:,} times the file" in PAGE
    assert f"more than {MAX_SEGMENTS:,} segments or {MAX_SCANS} scans" in PAGE

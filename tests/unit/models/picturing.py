"""Pictures for tests, and what Pillow and NumPy make of them step by step."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from models.manifest import ImageSpec

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Any pixels, always the same ones."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def plainly(data: bytes, spec: ImageSpec) -> np.ndarray:
    """What docs/images.md says that an image without transparency and of 8 bits becomes."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(spec.mode)
    assert spec.width
    assert spec.height
    resized = image.resize((spec.width, spec.height), Image.Resampling[spec.resize.upper()])
    pixels = np.asarray(resized).reshape(spec.height, spec.width, spec.channels)
    numbers = spec.low + pixels * (spec.high - spec.low) / 255
    numbers = (numbers - np.array(spec.mean or (0.0,))) / np.array(spec.std or (1.0,))
    if spec.layout == "CHW":
        numbers = np.moveaxis(numbers, 2, 0)
    return numbers.reshape(-1) if spec.layout == "flat" else numbers


def tiff(tags: dict[int, int]) -> bytes:
    """A TIFF of nothing but these tags, for what Pillow does not write; its pixels may follow."""
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)

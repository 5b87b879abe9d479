"""One PNG or JPEG into the flat numbers that an image model takes. Nothing here knows archives or models.

What is done to a picture is fixed by the model's ImageSpec, because every choice changes the numbers:
Pillow's conversion to the mode (transparency and EXIF rotation are not looked at), the box filter (each
result pixel is the mean of what it covers) if the size differs, then pixel * scale / 255.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.errors import BadImage
from models.manifest import ImageSpec

# 120 MB as RGB: more than any camera's picture needs for a model, less than a worker's share of memory.
MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG")


def decode_image(data: bytes, spec: ImageSpec) -> np.ndarray:
    """The image as float64 of length ``spec.features``: row by row, the channels of a pixel together.

    Raises BadImage: ``image_unreadable``, ``image_too_large``, ``image_unsupported``.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("far too many") from error
    except Exception as error:
        raise _unreadable(data, error) from error
    with image:
        _check(image)
        return _numbers(image, data, spec)


def _check(image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise _too_large(f"{image.width} x {image.height} = {pixels}")
    if image.mode.startswith(("I", "F")):
        raise BadImage(
            "image_unsupported",
            f"The image has 16 or more bits a channel (mode {image.mode}); save it with 8 bits.",
        )


def _numbers(image: Image.Image, data: bytes, spec: ImageSpec) -> np.ndarray:
    try:
        converted = image if image.mode == spec.mode else image.convert(spec.mode)
        if converted.size != (spec.width, spec.height):
            converted = converted.resize((spec.width, spec.height), Image.Resampling.BOX)
        pixels = np.asarray(converted, dtype=np.float64)
    # decoders meet hostile bytes and raise whatever they stumble over
    except Exception as error:
        raise _unreadable(data, error) from error
    return pixels.reshape(-1) * spec.scale / 255.0


def _too_large(pixels: str) -> BadImage:
    return BadImage(
        "image_too_large", f"The image has {pixels} pixels, more than {MAX_PIXELS}; make it smaller."
    )


def _unreadable(data: bytes, error: Exception) -> BadImage:
    if not data:
        return BadImage("image_unreadable", "The image is empty (0 bytes).")
    reason = ""
    # Pillow says of these only in which buffer they lay, which is another one each time
    if not isinstance(error, UnidentifiedImageError):
        reason = f" ({type(error).__name__}: {error})".replace("\n", " ")[:200]
    return BadImage("image_unreadable", f"Not a complete PNG or JPEG image, of {len(data)} bytes{reason}.")

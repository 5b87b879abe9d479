"""One image's bytes into the numbers that a model takes. Nothing here knows archives, jobs or estimators.

What is done to a picture is fixed by the model's ImageSpec, because every choice changes the numbers. The
steps, in this order, each as Pillow does it: first frame, EXIF orientation, 16-bit grey by its high byte,
transparency over white, conversion to the mode, resizing; then scale, mean, std and layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from models.errors import BadImage
from models.image_headers import FORMATS, checked, opened, orientation, reader, too_large
from models.manifest import ImageSpec

# What makes an image upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Enough for the filter to work on, as in Pillow's thumbnails.
DRAFT_GAP = 2

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def decode_image(data: bytes, spec: ImageSpec) -> np.ndarray:
    """The image as ``spec.shape`` of float64; for a model of any size, as decode_picture gives it.

    Raises BadImage: ``image_unreadable``, ``image_too_large``, ``image_unsupported``.
    """
    picture = decode_picture(data, spec)
    return picture if spec.any_size else model_rows([picture], spec)[0]


def decode_picture(data: bytes, spec: ImageSpec) -> np.ndarray:
    """The image upright, in the spec's mode and size: uint8 (height, width), in colour (height, width, 3).

    Raises BadImage as decode_image does.
    """
    kind = reader(data)
    if kind is None:
        text = "is empty (0 bytes)" if not data else f"of {len(data)} bytes is not {FORMATS}"
        raise BadImage("image_unreadable", f"The image {text}.")
    try:
        # no step's image has a name here, so that each is freed as soon as the next one stands
        return np.asarray(
            _resized(_in_mode(_upright(checked(opened(kind, data), len(data)), spec), spec), spec)
        )
    except (BadImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise too_large("has far too many pixels") from error
    # decoders meet hostile bytes and raise whatever they stumble over
    except Exception as error:
        reason = _ADDRESS.sub("", f"{type(error).__name__}: {error}").replace("\n", " ")[:200]
        text = f"The image of {len(data)} bytes is not a complete {kind.format} file ({reason})."
        raise BadImage("image_unreadable", text) from error


def model_rows(pictures: Sequence[np.ndarray | None], spec: ImageSpec) -> np.ndarray:
    """What an estimator is given for pictures of decode_picture: float64 (pictures, *spec.shape).

    For a model of any size a one-dimensional array of the pictures. A row without picture is left undefined.
    """
    if spec.any_size:
        rows = np.empty(len(pictures), dtype=object)
        rows[:] = [None] * len(pictures)
    else:
        rows = np.empty((len(pictures), *spec.shape))
    for row, picture in enumerate(pictures):
        if picture is not None:
            rows[row] = picture if spec.any_size else _numbers(picture, spec)
    return rows


def _upright(image: ImageFile, spec: ImageSpec) -> Image.Image:
    turn = None
    if spec.draft and isinstance(image, JpegImageFile):
        _draft(image, spec)
    image.load()
    if not isinstance(image, TiffImageFile):  # Pillow itself has turned that
        turn = _UPRIGHT.get(orientation(image.info.get("exif", b"")))
    return image if turn is None else image.transpose(turn)


def _draft(image: JpegImageFile, spec: ImageSpec) -> None:
    """Have the JPEG decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that is DRAFT_GAP times the spec's size."""
    if spec.width is not None and spec.height is not None:
        width, height = spec.width * DRAFT_GAP, spec.height * DRAFT_GAP
        sideways = orientation(image.info.get("exif", b"")) >= 5
        image.draft(spec.mode, (height, width) if sideways else (width, height))


def _in_mode(image: Image.Image, spec: ImageSpec) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _high_byte(image)
    if image.mode in ("I", "F"):
        raise _unsupported(f"has numbers of more than 16 bits or below zero (mode {image.mode})")
    try:
        if image.has_transparency_data:
            image = _over_white(image if image.mode == "RGBA" else image.convert("RGBA"))
        return image if image.mode == spec.mode else image.convert(spec.mode)
    except ValueError as error:
        raise _unsupported(f"has colours of another kind (mode {image.mode})") from error


def _unsupported(what: str) -> BadImage:
    return BadImage(
        "image_unsupported", f"The image {what}, which cannot be converted; save it as 8-bit grey or RGB."
    )


def _high_byte(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit. TIFF may have 12 bits, or black as the highest number; Pillow keeps both so."""
    values, bits = np.asarray(image), 16
    key = image.info.get("transparency")
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0]
        if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            values = (2**bits - 1) - values
    grey = (values >> (bits - 8)).astype(np.uint8)
    if isinstance(key, int):
        grey[values == key] = 255
    return Image.fromarray(grey)


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _resized(image: Image.Image, spec: ImageSpec) -> Image.Image:
    if spec.width is None or spec.height is None or image.size == (spec.width, spec.height):
        return image
    return image.resize((spec.width, spec.height), Image.Resampling[spec.resize.upper()])


def _numbers(picture: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Each channel's 256 numbers are known beforehand, so that any formula costs one look-up."""
    pixels = picture.reshape(*picture.shape[:2], spec.channels)
    if spec.layout == "CHW":
        index = pixels.transpose(2, 0, 1) + _FIRST_OF_CHANNEL[: spec.channels, None, None]
    else:
        index = pixels + _FIRST_OF_CHANNEL[: spec.channels]
    return np.take(_table(spec), index, mode="clip").reshape(spec.shape)


_FIRST_OF_CHANNEL = np.array([0, 256, 512], dtype=np.intp)


@lru_cache(maxsize=64)
def _table(spec: ImageSpec) -> np.ndarray:
    """The numbers of pixels 0 to 255 of the first channel, then of the next."""
    scaled = spec.low + np.arange(256) * (spec.high - spec.low) / 255.0
    centred = scaled - np.broadcast_to(spec.mean or 0.0, (spec.channels,))[:, None]
    divided: np.ndarray = centred / np.broadcast_to(spec.std or 1.0, (spec.channels,))[:, None]
    return divided.reshape(-1)

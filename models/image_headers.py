"""What an image's header says, read before any decoder runs: its format, what it would cost, how it lies.

Sizes are Pillow's to read. Here stands what Pillow does not bound (it checks sizes, TIFF's tags and WebP's
canvas by itself), and the EXIF orientation, found without building the whole table of tags.
"""

from __future__ import annotations

import ctypes
import io
import logging
import re
import struct
import warnings
from contextlib import suppress

from PIL import _imaging
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.errors import BadImage

FORMATS = "JPEG, PNG, GIF, BMP, TIFF or WebP"
# More than a picture needs for a model; decoding and converting one takes 350 MB, of a WebP 620 MB.
MAX_PIXELS = 40_000_000
# What JPEG and GIF can have at most. Resizing takes memory by the longer side.
MAX_SIDE = 65_535
# Above FREE_BYTES of pixels, a file that grows more is made to take time: a chunk is cut by the bytes of its
# files. A blank page grows 100 to 4,000 times, in all formats but lossless WebP.
MAX_RATIO = 8_000
FREE_BYTES = 16 << 20
# A progressive JPEG has about ten; each passes over the whole image, however few bytes it takes.
MAX_SCANS = 500
# Large profiles and EXIF take some; Pillow joins them by copying all so far each time.
MAX_SEGMENTS = 1_000

_MAGICS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
)
_FROM_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
# JPEG's markers; those without a length are stuffing, fill bytes, restarts, start and end.
_SCAN, _BASELINE = 0xDA, 0xC0
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x00, 0x01, *range(0xD0, 0xDA), 0xFF))
_TILE_WIDTH, _TILE_LENGTH, _ORIENTATION = 322, 323, 274


def reader(data: bytes) -> type[ImageFile] | None:
    """The class that reads images that begin like this; None if it is none of FORMATS."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    return next((kind for magic, kind in _MAGICS if data.startswith(magic)), None)


def opened(kind: type[ImageFile], data: bytes) -> ImageFile:
    """The image with its header read and nothing decoded. Raises whatever the header makes its reader raise.

    A JPEG that is made to take hours is a BadImage.
    """
    if kind is JpegImageFile and _is_endless(data):
        raise BadImage(
            "image_too_large",
            f"The JPEG has more than {MAX_SEGMENTS} segments or {MAX_SCANS} scans; save it again.",
        )
    _silence()
    return kind(io.BytesIO(data))


def pixel_count(data: bytes) -> int:
    """How many pixels decoding will take, by the header alone; 0 for what no decoder will get as far with."""
    kind = reader(data)
    if kind is None:
        return 0
    try:
        with opened(kind, data) as image:
            return image.width * image.height
    except (BadImage, MemoryError):
        raise
    # hostile headers raise whatever they make a reader stumble over; the decoder will say what it was
    except Exception:  # noqa: BLE001
        return 0


def _silence() -> None:
    """Keep what Pillow and libtiff say of damaged files off the process's output: the row's reason says it.

    Process-wide, as filters cannot be set per thread; again if something has reset them since.
    """
    if _FROM_PILLOW in warnings.filters:
        return
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # a build of Pillow that does not lend out libtiff's functions keeps its voice; only the log is longer
    with suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def checked(image: ImageFile, packed: int) -> ImageFile:
    """The image opened from ``packed`` bytes. Raises BadImage if decoding it would take too much."""
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise too_large(f"is {width} x {height} = {width * height} pixels")
    unpacked = width * height * (1 if image.mode == "1" else 8 * len(image.getbands())) // 8
    if unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise BadImage(
            "image_too_large",
            f"The image of {packed} bytes unpacks to {unpacked}, more than {MAX_RATIO} times as many; "
            "make it smaller.",
        )
    if isinstance(image, TiffImageFile):
        across, down = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        if across * down > MAX_PIXELS:
            raise too_large(f"has tiles of {across} x {down} pixels")
    return image


def too_large(what: str) -> BadImage:
    """The refusal of an image that ``what``."""
    return BadImage(
        "image_too_large",
        f"The image {what}; {MAX_PIXELS} pixels and {MAX_SIDE} a side are read at most. Make it smaller.",
    )


def _is_endless(data: bytes) -> bool:
    """Whether a JPEG has more than MAX_SEGMENTS in front of its pixels, or more than MAX_SCANS over them."""
    at, components, progressive = 2, 0, False
    for _ in range(MAX_SEGMENTS):
        at = data.find(b"\xff", at)  # as Pillow does, past what is no marker
        if at < 0 or len(data) < at + 10:
            return False
        marker = data[at + 1]
        if marker in _WITHOUT_LENGTH:
            at += 1
            continue
        if marker == _SCAN:
            # counting takes time; a first scan of all there is is the only one
            single = data[at + 4] == components and not progressive
            return not single and data.count(bytes((0xFF, _SCAN))) > MAX_SCANS
        if marker in _FRAMES:
            components, progressive = data[at + 9], marker != _BASELINE
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def orientation(exif: bytes) -> int:
    """1 to 8 as EXIF numbers them; 1 (upright) where the block does not say, or is damaged."""
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(order + "L", block, 4)
        (count,) = struct.unpack_from(order + "H", block, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHLH", block, at)
            if tag == _ORIENTATION and kind == 3:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # cut off: what other readers make of it is upright, too
    return 1

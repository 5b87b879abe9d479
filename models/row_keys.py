"""When two rows are the same to a model, whatever they looked like in their requests."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

from models.errors import BadImage
from models.image_text import image_bytes
from models.manifest import Manifest
from models.rules import INEXACT_INTEGER


def row_key(manifest: Manifest, row: Any, *more: str) -> bytes | None:
    """A digest that only rows with the same answer share; None for a row that is not sure to have one.

    1 and 1.0 are the same; so are a record in any order and the list of its values, an image as base64 and as
    bytes. True is not 1, and 0.0 is not -0.0. ``more`` tells apart what else must differ.
    """
    cells = _image(row) if manifest.signature.image else _values(manifest.signature.names, row)
    if cells is None:
        return None
    version = (manifest.reference, manifest.sha256, manifest.created_at, *more)
    return hashlib.sha256(b"".join([*map(_text, version), *cells])).digest()


def _values(names: tuple[str, ...], row: Any) -> list[bytes] | None:
    if isinstance(row, dict):
        if len(row) != len(names) or not all(name in row for name in names):
            return None
        row = [row[name] for name in names]
    elif not isinstance(row, list):
        row = [row]  # a bare text
    cells = [_cell(value) for value in row]
    return None if len(cells) != len(names) or None in cells else cells  # type: ignore[return-value]


def _cell(value: Any) -> bytes | None:
    if value is None or isinstance(value, bool):
        return {None: b"n", True: b"t", False: b"f"}[value]
    if isinstance(value, int) and abs(value) < INEXACT_INTEGER:
        value = float(value)
    if isinstance(value, float) and math.isfinite(value):
        return b"d" + struct.pack("<d", value)
    return _text(value) if isinstance(value, str) else None


def _text(value: str) -> bytes:
    encoded = value.encode(errors="surrogatepass")
    return b"s" + len(encoded).to_bytes(8, "little") + encoded


def _image(row: Any) -> list[bytes] | None:
    if not isinstance(row, dict) or set(row) not in ({"image"}, {"b64"}):
        return None
    try:
        return [hashlib.sha256(image_bytes(row.get("image", row))).digest()]
    except BadImage:
        return None

"""Images that stand in JSON: base64 as programs write it, a data URL, or TensorFlow's ``{"b64": …}``.

Only text becomes bytes here; whether the bytes are an image is for ``images``.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import unquote

from models.errors import BadImage

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_FROM_URL_SAFE = str.maketrans("-_", "+/")


def image_bytes(value: Any) -> bytes:
    """The bytes of an image in a request; those that came as bytes stay as they are.

    Line breaks, the alphabet that is safe in URLs and missing padding are taken, because encoders differ in
    them. Raises BadImage: ``wrong_type``, ``not_base64``.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict) and set(value) == {"b64"}:
        value = value["b64"]
    if not isinstance(value, str):
        raise BadImage("wrong_type", "An image must be base64 text or a data URL.")
    if prefix := _DATA_URL.match(value):
        value = unquote(value[prefix.end() :])
    text = "".join(value.split()).translate(_FROM_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage(
            "not_base64", "The image is neither base64 nor a base64 data URL; `base64 -w0 FILE` makes it."
        ) from error

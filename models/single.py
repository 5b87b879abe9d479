"""From the rows of one request to what a model scores: every value checked first, all problems told at once.

Stricter than a file: a row that a program wrote has no reason to leave a column out or to add one, so both
are mistakes here. What an estimator accepts in a value is asked of ``signature``, as for files.
"""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.errors import BadImage
from models.image_headers import pixel_count
from models.image_text import image_bytes
from models.images import decode_picture, model_rows
from models.manifest import ARROW_KINDS, ColumnSpec, ImageSpec, Kind, Manifest, Signature
from models.payload import PayloadRefused, Rows, error, too_many_rows
from models.rules import INEXACT_INTEGER, TOO_LARGE, RowIssue, check

# A request with more mistakes than this is wrong as a whole; nobody reads the rest.
MAX_ERRORS = 100
MAX_HINTS = 20
# What the images of one request may take in memory as the numbers that the model is given.
MAX_IMAGE_BYTES = 256 << 20
# What they may have as pixels: some seconds of decoding, however well they are compressed.
MAX_PIXELS_TOGETHER = 200_000_000
# One picture at a time: what a large one takes while it is decoded must not be multiplied by the requests.
_decoder = threading.Lock()

_NOUNS = {"number": "a number", "string": "a text", "boolean": "true or false"}
_BAD = object()


class _Problems:
    """What is wrong so far with the rows sent, each place once."""

    def __init__(self, sent: Rows) -> None:
        self.errors: list[dict[str, str]] = []
        self._sent = sent
        self._seen: set[tuple[str, str]] = set()

    @property
    def full(self) -> bool:
        return len(self.errors) >= MAX_ERRORS

    def add(self, row: int, field: str | int | None, code: str, detail: str) -> None:
        at = self._sent.place(row, field)
        if (at, code) not in self._seen and not self.full:
            self._seen.add((at, code))
            self.errors.append(error(at, code, detail))


class ModelInput(NamedTuple):
    """``data`` is what ``LoadedModel.score`` takes, one row for each row sent.

    ``warnings`` are about values that are scored although training had nothing like them, up to MAX_ERRORS of
    them, each with a pointer.
    """

    data: pa.Table | np.ndarray
    warnings: list[dict[str, str]]


def model_input(manifest: Manifest, sent: Rows) -> ModelInput:
    """The rows, checked by all rules.

    Raises PayloadRefused ``invalid_input`` with up to MAX_ERRORS entries, or ``too_many_rows``.
    """
    problems, warnings = _Problems(sent), _Problems(sent)
    image = manifest.signature.image
    if image is not None:
        data: pa.Table | np.ndarray = _images(image, sent, problems)
    else:
        data = _table(manifest.signature, sent, problems, warnings)
    if problems.errors:
        raise _refusal(manifest, problems)
    return ModelInput(data, warnings.errors)


def _refusal(manifest: Manifest, problems: _Problems) -> PayloadRefused:
    count = len(problems.errors)
    more = "" if count == 1 else f" There are {'at least ' if problems.full else ''}{count} such problems."
    advice = f" GET /models/{manifest.reference} shows what the model takes."
    text = f"The input does not fit {manifest.reference}: {problems.errors[0]['detail']}"
    return PayloadRefused("invalid_input", text + more + advice, problems.errors)


def _table(signature: Signature, sent: Rows, problems: _Problems, warnings: _Problems) -> pa.Table:
    """The rows as columns; null stands in for a value that is missing or bad, and its problem is told."""
    rows = []
    told: set[tuple[int, str]] = set()
    for row, values in enumerate(sent.rows):
        cells = _cells(signature, values, row, problems)
        told.update(
            (row, spec.name) for spec, cell in zip(signature.columns, cells, strict=True) if cell is _BAD
        )
        rows.append([None if cell is _BAD else cell for cell in cells])
        if problems.full:
            break
    columns = [
        pa.array(values, ARROW_KINDS[spec.kind])
        for spec, values in zip(signature.columns, zip(*rows, strict=True), strict=True)
    ]
    table = pa.table(columns, names=list(signature.names))
    checked = check(signature, table)
    for issue in checked.refused:
        if (issue.row, issue.column) not in told:
            _tell(signature, sent, issue, problems)
    for issue in sorted(issue for unusual in checked.unusual for issue in unusual.issues()):
        _tell(signature, sent, issue, warnings)
    return checked.table


def _tell(signature: Signature, sent: Rows, issue: RowIssue, where: _Problems) -> None:
    field = _field(sent.rows[issue.row], signature.names.index(issue.column), issue.column)
    where.add(issue.row, field, issue.code, issue.message)


def _cells(signature: Signature, values: Any, row: int, problems: _Problems) -> list[Any]:
    """One row's values in the model's order, _BAD where there is none that can be used."""
    if isinstance(values, list) and len(values) != len(signature.columns):
        text = f"A row has {len(signature.columns)} values ({_listed(signature.names)}), not {len(values)}."
        problems.add(row, None, "wrong_length", text)
        return [_BAD] * len(signature.columns)
    if isinstance(values, dict):
        _check_names(signature.names, values, row, problems)
        in_order = [values.get(name, _BAD) for name in signature.names]
    else:
        in_order = values if isinstance(values, list) else [values]  # a bare text
    cells = []
    for position, (spec, value) in enumerate(zip(signature.columns, in_order, strict=True)):
        cell, trouble = (value, None) if value is _BAD or value is None else _cell(spec, value)
        if trouble is not None:
            problems.add(row, _field(values, position, spec.name), *trouble)
        cells.append(cell)
    return cells


def _check_names(names: Sequence[str], record: dict[str, Any], row: int, problems: _Problems) -> None:
    known = set(names)
    strangers = [key for key in record if key not in known]
    absent = [name for name in names if name not in record]
    # looking for the nearest name is slow, and a record with more mistakes than that has no near ones
    near_absent, near_strangers = (names[:MAX_HINTS] for names in (absent, strangers))
    for name in absent[:MAX_ERRORS]:
        problems.add(row, name, "missing_field", f"{name!r} is missing{_hint(name, near_strangers)}")
    for key in strangers[:MAX_ERRORS]:
        text = f"The model has no column {key[:100]!r}{_hint(key, near_absent)}"
        problems.add(row, key, "unknown_field", text)


def _cell(spec: ColumnSpec, value: Any) -> tuple[Any, tuple[str, str] | None]:
    """``value`` as its column holds it, or _BAD with code and reason."""
    if not _is_of(spec.kind, value):
        return _BAD, ("wrong_type", f"{spec.name!r} must be {_NOUNS[spec.kind]}, not {_shown(value)}.")
    if spec.kind == "number":
        return _number(spec, value)
    if spec.kind == "string" and not _is_text(value):
        return _BAD, ("invalid_text", f"{spec.name!r} holds half of a character (a lone surrogate).")
    return value, None


def _number(spec: ColumnSpec, value: int | float) -> tuple[Any, tuple[str, str] | None]:
    if spec.dtype == "int64" and isinstance(value, int) and abs(value) >= INEXACT_INTEGER:
        return _BAD, ("integer_too_large", f"{spec.name!r} is {str(value)[:50]}: {TOO_LARGE}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        return _BAD, ("not_a_number", f"{spec.name!r} is NaN; send null for a missing value.")
    if math.isinf(number):
        return _BAD, ("infinite_value", f"{spec.name!r} is too large for a 64-bit number, or infinite.")
    return number, None


def _is_of(kind: Kind, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _images(spec: ImageSpec, sent: Rows, problems: _Problems) -> np.ndarray:
    most = max(1, MAX_IMAGE_BYTES // (8 * (spec.features or 1)))
    if len(sent.rows) > most:
        raise too_many_rows(len(sent.rows), most)
    pictures: list[np.ndarray | None] = [None] * len(sent.rows)
    size = pixels = 0
    for row, values in enumerate(sent.rows):
        if problems.full:
            break
        if not isinstance(values, dict) or set(values) not in ({"image"}, {"b64"}):
            text = 'The model takes images: {"image": "<base64>"}, or a form with the part image.'
            problems.add(row, None, "wrong_type", text)
            continue
        try:
            data = image_bytes(values.get("image", values))
            pixels += pixel_count(data) if len(sent.rows) > 1 else 0
            if pixels > MAX_PIXELS_TOGETHER:
                raise _too_many_pixels(row)
            with _decoder:
                picture = decode_picture(data, spec)
        except BadImage as bad:
            problems.add(row, next(iter(values)), bad.code, bad.message)
            continue
        pictures[row] = picture
        size += picture.nbytes
        if size > MAX_IMAGE_BYTES:
            raise too_many_rows(len(sent.rows), row)
    return model_rows(pictures, spec)


def _too_many_pixels(row: int) -> PayloadRefused:
    return PayloadRefused(
        "too_large",
        f"The first {row + 1} images have more than {MAX_PIXELS_TOGETHER} pixels together. "
        "Send them to POST /jobs, which takes any number.",
    )


def _field(values: Any, position: int, name: str) -> str | int | None:
    """The part of a row that a problem is about; None if the row is the value itself."""
    if isinstance(values, dict):
        return name
    return position if isinstance(values, list) else None


def _hint(name: str, others: Sequence[str]) -> str:
    near = difflib.get_close_matches(name[:100], [other[:100] for other in others], 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _shown(value: Any) -> str:
    """A JSON value as a message names it, never longer than a line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the text {value[:50]!r}"
    return f"the number {str(value)[:50]}"

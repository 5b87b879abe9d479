"""From tensors to rows as every other route has them, so that one set of rules and limits is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.v2.tensors import Tensor
from models.manifest import Manifest
from models.payload import Place, Rows, pointer, refused, too_many_rows


def rows_of(manifest: Manifest, tensors: Sequence[Tensor], most: int) -> Rows:
    """The rows in ``tensors``: one tensor with all columns, or one for each column.

    Raises PayloadRefused: ``invalid_input``, ``too_many_rows``.
    """
    count = _row_count(tensors, most)
    signature = manifest.signature
    if signature.kind == "image":
        return _images(tensors, count)
    if len(tensors) == 1 and _has_all_columns(tensors[0], manifest):
        return _matrix(tensors[0], count, len(signature.names))
    return _by_column(tensors, count)


def _row_count(tensors: Sequence[Tensor], most: int) -> int:
    if not tensors:
        raise refused("/inputs", "no_rows", "inputs must be a list of at least one tensor.")
    count = tensors[0].shape[0]
    for tensor in tensors[1:]:
        if tensor.shape[0] != count:
            text = f"it has {tensor.shape[0]} rows, the input before it {count}; they must be as many."
            raise tensor.refused("wrong_length", text)
    if not count:
        raise refused("/inputs/0/shape", "no_rows", "The input has no rows.")
    if count > most:
        raise too_many_rows(count, most)
    return count


def _has_all_columns(tensor: Tensor, manifest: Manifest) -> bool:
    """Whether a lone tensor is the whole table, under whatever name it comes."""
    signature = manifest.signature
    if len(signature.names) > 1:
        return len(tensor.shape) == 2 and tensor.shape[1] != 1
    return not signature.named or signature.kind == "text"


def _matrix(tensor: Tensor, count: int, width: int) -> Rows:
    if tensor.shape[1:] not in ((width,), () if width == 1 else (width,)):
        text = (
            f"its shape must be [{count}, {width}], not {list(tensor.shape)}; the model has {width} columns."
        )
        raise tensor.refused("wrong_shape", text)
    values = _texts(tensor)
    rows = [values[start : start + width] for start in range(0, count * width, width)]

    def place(row: int, field: str | int | None) -> str:
        return pointer("inputs", 0, "data", row * width + field) if isinstance(field, int) else tensor.at

    return Rows(rows, False, place)


def _by_column(tensors: Sequence[Tensor], count: int) -> Rows:
    columns: dict[str, list[Any]] = {}
    pointers: dict[str, str] = {}
    for tensor in tensors:
        if tensor.name in columns:
            raise tensor.refused("duplicate_field", "two inputs have this name.")
        columns[tensor.name] = _texts(_column(tensor, count))
        pointers[tensor.name] = tensor.at
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Rows(rows, False, _place_of(pointers))


def _place_of(pointers: dict[str, str]) -> Place:
    def place(row: int, field: str | int | None) -> str:
        if field not in pointers:
            return pointer("inputs", field)
        return f"{pointers[str(field)]}/data/{row}"

    return place


def _images(tensors: Sequence[Tensor], count: int) -> Rows:
    if len(tensors) > 1:
        raise tensors[1].refused("unknown_field", "an image model takes one tensor of images.")
    tensor = _column(tensors[0], count)
    if tensor.datatype != "BYTES":
        raise tensor.refused("wrong_type", "images are BYTES: a file's bytes, or base64 in JSON.")
    rows = [{"image": value} for value in tensor.elements()]
    return Rows(rows, False, lambda row, _field: f"{tensor.at}/data/{row}")


def _column(tensor: Tensor, count: int) -> Tensor:
    if tensor.shape not in ((count,), (count, 1)):
        text = f"a column has the shape [{count}] or [{count}, 1], not {list(tensor.shape)}."
        raise tensor.refused("wrong_shape", text)
    return tensor


def _texts(tensor: Tensor) -> list[Any]:
    """The elements, bytes decoded."""
    return [
        _text(tensor, index, value) if isinstance(value, bytes) else value
        for index, value in enumerate(tensor.elements())
    ]


def _text(tensor: Tensor, index: int, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        text = f"byte {error.start} of the text is not UTF-8."
        raise tensor.refused("invalid_text", text, index) from error

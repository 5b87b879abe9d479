"""Tensors as they come in: each is looked at by name, type, shape and length before its elements are read.

What the elements mean to a model is not known here.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.v2.body import InferRequest, parameters, refuse_extensions
from models.payload import PayloadRefused, pointer, refused

# Little-endian, as the binary extension has them; BYTES is the one type whose elements differ in length.
DTYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = (*DTYPES, "BYTES")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """An input whose length fits its shape. ``raw`` is its JSON data, flat, or its part of the body."""

    at: str
    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: list[Any] | memoryview

    def elements(self) -> list[Any]:
        """In row-major order. NaN is None, the missing value; BYTES are bytes if they came as such."""
        if isinstance(self.raw, list):
            return _from_json(self, self.raw)
        return _from_bytes(self, self.raw) if self.datatype == "BYTES" else _from_binary(self, self.raw)

    def refused(self, code: str, detail: str, index: int | None = None) -> PayloadRefused:
        """A refusal of the tensor, or of one of its elements."""
        at = self.at if index is None else f"{self.at}/data/{index}"
        return refused(at, code, f"{self.name[:100]!r}: {detail}")


def read_tensors(request: InferRequest) -> list[Tensor]:
    """All inputs in their order. Raises PayloadRefused at the first that is not what it says."""
    tensors, left = [], request.binary
    for index, value in enumerate(request.inputs):
        tensor, left = _read(pointer("inputs", index), value, left)
        tensors.append(tensor)
    if len(left):
        text = f"{len(left)} bytes are left over behind the JSON and the binary data of all inputs."
        raise refused("", "wrong_length", text)
    return tensors


def _read(at: str, value: dict[str, Any], left: memoryview) -> tuple[Tensor, memoryview]:
    name, datatype = value.get("name"), value.get("datatype")
    if not isinstance(name, str):
        raise refused(f"{at}/name", "wrong_type", "An input has a name, which is a text.")
    if datatype not in DATATYPES:
        text = f"{name[:100]!r} has the datatype {str(datatype)[:40]!r}; there are {', '.join(DATATYPES)}."
        raise refused(f"{at}/datatype", "wrong_type", text)
    shape = _shape(at, name, value.get("shape"))
    given = parameters(value, at)
    refuse_extensions(given, at)
    size = given.get("binary_data_size")
    if size is None:
        tensor = Tensor(at, name, datatype, shape, [])
        return Tensor(at, name, datatype, shape, _flat(tensor, value.get("data"))), left
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(left):
        text = f"{name[:100]!r} is to have {str(size)[:40]} bytes; {len(left)} are left of the body."
        raise refused(f"{at}/parameters/binary_data_size", "wrong_length", text)
    if "data" in value:
        raise refused(f"{at}/data", "ambiguous", "A tensor has data or binary_data_size, not both.")
    tensor = Tensor(at, name, datatype, shape, left[:size])
    _check_size(tensor, size)
    return tensor, left[size:]


def _shape(at: str, name: str, shape: Any) -> tuple[int, ...]:
    sound = isinstance(shape, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 63 for size in shape
    )
    if not sound or not 1 <= len(shape) <= 2:
        text = f"{name[:100]!r} must have a shape of one or two sizes: [rows] or [rows, columns]."
        raise refused(f"{at}/shape", "wrong_shape", text)
    return tuple(shape)


def _check_size(tensor: Tensor, size: int) -> None:
    """Every element of BYTES has at least its own length in front."""
    count, each = math.prod(tensor.shape), 4
    if tensor.datatype != "BYTES":
        each = DTYPES[tensor.datatype].itemsize
    if size < count * each or (size > count * each and tensor.datatype != "BYTES"):
        text = f"shape {list(tensor.shape)} of {tensor.datatype} takes {count * each} bytes, not {size}."
        raise tensor.refused("wrong_length", text)


def _flat(tensor: Tensor, data: Any) -> list[Any]:
    """JSON data in one list, whether it was sent nested or flat."""
    if not isinstance(data, list):
        raise tensor.refused("missing_data", "it needs data, a list, or the parameter binary_data_size.")
    rows, width = tensor.shape[0], math.prod(tensor.shape[1:])
    if len(tensor.shape) == 2 and len(data) == rows and all(isinstance(row, list) for row in data):
        if all(len(row) == width for row in data):
            return [value for row in data for value in row]
        raise tensor.refused("wrong_length", f"each of its rows must have {width} values.")
    if len(data) != rows * width:
        text = f"shape {list(tensor.shape)} takes {rows * width} values, but data has {len(data)}."
        raise tensor.refused("wrong_length", text)
    return data


def _from_json(tensor: Tensor, values: list[Any]) -> list[Any]:
    """Numbers must be what their type says; whether another value fits is for the model to say."""
    dtype = DTYPES.get(tensor.datatype)
    if dtype is None or dtype.kind == "b":
        return values
    return [
        _number(tensor, dtype, index, value) if type(value) in (int, float) else value
        for index, value in enumerate(values)
    ]


def _number(tensor: Tensor, dtype: np.dtype[Any], index: int, value: int | float) -> int | float:
    if dtype.kind == "f":
        return value if dtype.itemsize == 8 else _rounded(value, dtype)
    limits = np.iinfo(dtype)
    if isinstance(value, float) or not limits.min <= value <= limits.max:
        raise tensor.refused("wrong_type", f"{str(value)[:40]} is no {tensor.datatype}.", index)
    return value


def _rounded(value: int | float, dtype: np.dtype[Any]) -> float:
    """As the same number would be in binary; one that is too large becomes infinite, which is refused."""
    try:
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    except OverflowError:
        return math.inf


def _from_binary(tensor: Tensor, raw: memoryview) -> list[Any]:
    dtype = DTYPES[tensor.datatype]
    if dtype.kind == "b":
        bad = np.flatnonzero(np.frombuffer(raw, np.uint8) > 1)
        if len(bad):
            raise tensor.refused("wrong_type", "a BOOL is the byte 0 or 1.", int(bad[0]))
    values = np.frombuffer(raw, dtype)
    if dtype.kind != "f":
        return list(values.tolist())
    return [None if math.isnan(value) else value for value in values.tolist()]


def _from_bytes(tensor: Tensor, raw: memoryview) -> list[bytes]:
    elements, start = [], 0
    for index in range(math.prod(tensor.shape)):
        begin = start + _LENGTH.size
        stop = begin + _LENGTH.unpack_from(raw, start)[0] if begin <= len(raw) else begin
        if stop > len(raw):
            raise tensor.refused("wrong_length", "the element reaches beyond its tensor's bytes.", index)
        elements.append(bytes(raw[begin:stop]))
        start = stop
    if start < len(raw):
        raise tensor.refused("wrong_length", f"{len(raw) - start} bytes stand behind its last element.")
    return elements

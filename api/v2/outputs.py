"""What goes out: which output tensors a model has, and a scored table as the tensors that were asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from flask import Response

from api.v2.body import HEADER, InferRequest, RequestedOutput
from models.manifest import LabelType, Manifest, Target, label_text
from models.payload import pointer, refused

LABEL_DATATYPES: dict[LabelType, str] = {
    "string": "BYTES",
    "integer": "INT64",
    "boolean": "BOOL",
    "number": "FP64",
}


@dataclass(frozen=True)
class Output:
    """One output tensor: [rows], or [rows, classes] with the names of the classes.

    ``columns`` are its columns in the scored table.
    """

    name: str
    datatype: str
    columns: slice
    classes: tuple[str, ...] | None = None

    @property
    def shape(self) -> list[int]:
        """With -1 for the rows."""
        return [-1] if self.classes is None else [-1, len(self.classes)]


def outputs_of(manifest: Manifest) -> list[Output]:
    """All that the model answers: its predictions, then, where it has them, its probabilities."""
    targets = manifest.targets
    found = [
        Output(_named("prediction", target, targets), LABEL_DATATYPES[target.label_type], slice(i, i + 1))
        for i, target in enumerate(targets)
    ]
    start = len(targets)
    for target in targets if manifest.has_probabilities else ():
        classes = tuple(label_text(label) for label in target.classes or ())
        columns = slice(start, start + len(classes))
        found.append(Output(_named("probabilities", target, targets), "FP64", columns, classes))
        start = columns.stop
    return found


def _named(what: str, target: Target, targets: Sequence[Target]) -> str:
    return what if len(targets) == 1 else f"{what}_{target.name}"


def wanted_outputs(manifest: Manifest, request: InferRequest) -> list[tuple[Output, bool]]:
    """What the request asks for, in its order, and whether in binary; everything if it names nothing."""
    there = {output.name: output for output in outputs_of(manifest)}
    asked = request.outputs or [RequestedOutput(name, None) for name in there]
    found: dict[str, tuple[Output, bool]] = {}
    for index, want in enumerate(asked):
        if want.name not in there:
            text = f"{manifest.reference} has no output {want.name[:100]!r}; it has {', '.join(there)}."
            raise refused(pointer("outputs", index, "name"), "unknown_output", text)
        if want.name in found:
            raise refused(
                pointer("outputs", index, "name"), "duplicate_field", f"{want.name} is there twice."
            )
        binary = request.binary_output if want.binary is None else want.binary
        found[want.name] = there[want.name], binary
    return list(found.values())


def infer_response(
    manifest: Manifest, scored: pa.Table, wanted: Sequence[tuple[Output, bool]], request_id: str | None
) -> Response:
    """``scored`` is under ``output_schema(manifest)``, with or without confidence."""
    header: dict[str, Any] = {"model_name": manifest.name, "model_version": str(manifest.version)}
    if request_id is not None:
        header["id"] = request_id
    binaries: list[bytes] = []
    header["outputs"] = [_tensor(output, scored, binaries if binary else None) for output, binary in wanted]
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    if not any(binary for _, binary in wanted):
        return Response(text + b"\n", mimetype="application/json")
    answer = Response(b"".join([text, *binaries]), mimetype="application/octet-stream")
    answer.headers[HEADER] = str(len(text))
    return answer


def _tensor(output: Output, scored: pa.Table, binaries: list[bytes] | None) -> dict[str, Any]:
    """The tensor's part of the JSON; its data go into ``binaries`` if there are some."""
    columns = scored.columns[output.columns]
    shape = [len(scored), *output.shape[1:]]
    tensor: dict[str, Any] = {"name": output.name, "shape": shape, "datatype": output.datatype}
    if binaries is None:
        return tensor | {"data": list(_by_row(columns))}
    binaries.append(_binary(output.datatype, columns))
    return tensor | {"parameters": {"binary_data_size": len(binaries[-1])}}


def _by_row(columns: Sequence[pa.ChunkedArray]) -> Iterator[Any]:
    """JSON has no NaN and no infinity; they become null, as in the other routes."""
    for row in zip(*(column.to_pylist() for column in columns), strict=True):
        yield from (None if isinstance(v, float) and not math.isfinite(v) else v for v in row)


def _binary(datatype: str, columns: Sequence[pa.ChunkedArray]) -> bytes:
    if datatype == "BYTES":
        texts = [text.encode() for column in columns for text in column.to_pylist()]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    dtype = {"FP64": "<f8", "INT64": "<i8", "BOOL": "?"}[datatype]
    return np.column_stack([column.to_numpy() for column in columns]).astype(dtype).tobytes()

"""What goes out: which output tensors a model has, and its answers as the tensors that were asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flask import Response

from api.answering import Answered
from api.v2.body import HEADER, InferRequest, RequestedOutput
from api.v2.tensors import DTYPES
from models.manifest import LabelType, Manifest, label_text
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

    It is the ``part`` of each answer, of ``target`` where there are several.
    """

    part: Literal["prediction", "probabilities"]
    target: str | None
    datatype: str
    classes: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """With the target's name where there are several."""
        return self.part if self.target is None else f"{self.part}_{self.target}"

    @property
    def shape(self) -> list[int]:
        """With -1 for the rows."""
        return [-1] if self.classes is None else [-1, len(self.classes)]

    def values(self, answers: Sequence[dict[str, Any]]) -> list[Any]:
        """The elements in row-major order; None where the model answered no finite number."""
        found = [answer[self.part] for answer in answers]
        if self.target is not None:
            found = [by_target[self.target] for by_target in found]
        return found if self.classes is None else [value for row in found for value in row.values()]


def outputs_of(manifest: Manifest) -> list[Output]:
    """All that the model answers: its predictions, then, where it has them, its probabilities."""
    targets = manifest.targets
    named = [(target.name if len(targets) > 1 else None, target) for target in targets]
    found = [Output("prediction", name, LABEL_DATATYPES[target.label_type]) for name, target in named]
    for name, target in named if manifest.has_probabilities else ():
        classes = tuple(label_text(label) for label in target.classes or ())
        found.append(Output("probabilities", name, "FP64", classes))
    return found


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
    manifest: Manifest,
    found: Answered,
    wanted: Sequence[tuple[Output, bool]],
    request_id: str | None,
) -> Response:
    """A parameter holds texts only, so warnings are JSON in a text."""
    header: dict[str, Any] = {"model_name": manifest.name, "model_version": str(manifest.version)}
    if request_id is not None:
        header["id"] = request_id
    if found.warnings:
        header["parameters"] = {"warnings": json.dumps(found.warnings)}
    binaries: list[bytes] = []
    header["outputs"] = [
        _tensor(output, found.answers, binaries if binary else None) for output, binary in wanted
    ]
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    if not binaries:
        return Response(text + b"\n", mimetype="application/json")
    answer = Response(b"".join([text, *binaries]), mimetype="application/octet-stream")
    answer.headers[HEADER] = str(len(text))
    return answer


def _tensor(
    output: Output, answers: Sequence[dict[str, Any]], binaries: list[bytes] | None
) -> dict[str, Any]:
    """The tensor's part of the JSON; its data go into ``binaries`` if there are some."""
    shape = [len(answers), *output.shape[1:]]
    tensor: dict[str, Any] = {"name": output.name, "shape": shape, "datatype": output.datatype}
    values = output.values(answers)
    if binaries is None:
        return tensor | {"data": values}
    binaries.append(_packed(output.datatype, values))
    return tensor | {"parameters": {"binary_data_size": len(binaries[-1])}}


def _packed(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [text.encode() for text in values]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return np.array(values, DTYPES[datatype]).tobytes()  # None is NaN

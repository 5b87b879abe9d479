"""What the server and its models say of themselves under V2."""

from __future__ import annotations

import json
from typing import Any

from api.v2.outputs import outputs_of
from models.manifest import ColumnSpec, Manifest

EXTENSIONS = ["binary_tensor_data"]
PLATFORM = "sklearn_joblib"
_DATATYPES = {"float64": "FP64", "int64": "INT64", "bool": "BOOL"}


def server(version: str) -> dict[str, Any]:
    return {"name": "rowmill", "version": version, "extensions": EXTENSIONS}


def model(manifest: Manifest, versions: list[int]) -> dict[str, Any]:
    """``properties`` has, as the protocol wants it, texts only: the classes are JSON in a text."""
    classes = {output.name: output.classes for output in outputs_of(manifest) if output.classes is not None}
    return {
        "name": manifest.name,
        "versions": [str(version) for version in versions],
        "platform": PLATFORM,
        "inputs": _inputs(manifest),
        "outputs": [
            {"name": output.name, "datatype": output.datatype, "shape": output.shape}
            for output in outputs_of(manifest)
        ],
        "properties": {
            "version": str(manifest.version),
            "sha256": manifest.sha256,
            "task": manifest.task,
            "estimator": manifest.estimator,
        }
        | {f"classes_of_{name}": json.dumps(labels) for name, labels in classes.items()},
    }


def _inputs(manifest: Manifest) -> list[dict[str, Any]]:
    """A tensor for each column; one for all where the model knows no names of columns."""
    signature = manifest.signature
    if signature.kind == "image":
        return [_input("image", "BYTES", [-1])]
    if not signature.named and all(spec.kind == "number" for spec in signature.columns):
        return [_input("input", "FP64", [-1, len(signature.names)])]
    return [_input(spec.name, _datatype(spec), [-1]) for spec in signature.columns]


def _input(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _datatype(spec: ColumnSpec) -> str:
    if spec.kind == "string":
        return "BYTES"
    return "BOOL" if spec.kind == "boolean" else _DATATYPES.get(spec.dtype, "FP64")

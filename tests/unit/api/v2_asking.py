"""Asking V2 routes as its clients do: tensors in JSON or in binary, and the outputs as arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.unit.api.conftest import Client

HEADER = "Inference-Header-Content-Length"
DTYPES = {"FP64": np.dtype("<f8"), "INT64": np.dtype("<i8"), "BOOL": np.dtype("?")}


def tensor(
    name: str, datatype: str, data: Sequence[Any], shape: Sequence[int] | None = None
) -> dict[str, Any]:
    """An input with its data in JSON."""
    return {"name": name, "datatype": datatype, "shape": list(shape or [len(data)]), "data": list(data)}


def packed(texts: Sequence[bytes]) -> bytes:
    """BYTES in binary."""
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def binary(name: str, datatype: str, shape: Sequence[int], data: bytes) -> tuple[dict[str, Any], bytes]:
    """An input whose data stand behind the JSON."""
    parameters = {"binary_data_size": len(data)}
    return {"name": name, "datatype": datatype, "shape": list(shape), "parameters": parameters}, data


def framed(request: dict[str, Any], *parts: bytes) -> tuple[bytes, dict[str, str]]:
    """A body with binary parts, and its headers."""
    text = json.dumps(request).encode()
    return b"".join([text, *parts]), {HEADER: str(len(text)), "Content-Type": "application/octet-stream"}


def infer(client: Client, model: str, *inputs: Any, **more: Any) -> Any:
    """POST …/infer; inputs are what ``tensor`` or ``binary`` gave."""
    described = [each[0] if isinstance(each, tuple) else each for each in inputs]
    parts = [each[1] for each in inputs if isinstance(each, tuple)]
    request = {"inputs": described, **more}
    if not parts:
        return client.post(f"/v2/models/{model}/infer", json=request)
    body, headers = framed(request, *parts)
    return client.post(f"/v2/models/{model}/infer", data=body, headers=headers)


def outputs(answer: Any) -> dict[str, Any]:
    """The output tensors by name, as (nested) lists."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get(HEADER, len(answer.data)))
    found, rest = {}, answer.data[length:]
    for output in json.loads(answer.data[:length])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        data = output["data"] if size is None else _unpacked(output["datatype"], rest[:size])
        rest = rest[size or 0 :]
        found[output["name"]] = np.array(data, dtype=object).reshape(output["shape"]).tolist()
    assert rest == b""
    return found


def _unpacked(datatype: str, data: bytes) -> list[Any]:
    if datatype != "BYTES":
        values: list[Any] = np.frombuffer(data, DTYPES[datatype]).tolist()
        return values
    texts, start = [], 0
    while start < len(data):
        stop = start + 4 + int.from_bytes(data[start : start + 4], "little")
        texts.append(data[start + 4 : stop].decode())
        start = stop
    return texts

"""Requests that are right, for fuzzing to start from: else it never gets as far as a model."""

from __future__ import annotations

import base64
import csv
import io
import json
import struct
from typing import Any

from PIL import Image

from tests.fuzz.requests import Sent

JSON = "application/json"


def about_tables(model: str, sample: bytes) -> list[Sent]:
    """Predictions in every protocol and a job, from the rows of a CSV of numbers."""
    rows = [{name: float(cell) for name, cell in row.items()} for row in _records(sample)][:3]
    first, names = rows[0], list(rows[0])
    split = {"columns": names, "data": [list(row.values()) for row in rows]}
    bodies: list[Any] = [
        {"model": model, "features": first},
        {"model": model, "features": list(first.values())},
        {"model": model, "instances": rows},
        {"model": model, "data": [list(row.values()) for row in rows]},
    ]
    return [
        *(_post("/predict", body) for body in bodies),
        _post("/predict", first, f"model={model}"),
        _post("/invocations", {"dataframe_split": split}, f"model={model}"),
        _post("/invocations", {"dataframe_records": rows}, f"model={model}"),
        _post("/invocations", {"instances": rows}, f"model={model}"),
        Sent("POST", b"/invocations", f"model={model}".encode(), sample, {"CONTENT_TYPE": "text/csv"}),
        _post(f"/v2/models/{model}/infer", {"inputs": [_tensor(name, [first[name]]) for name in names]}),
        _binary(model, first),
        Sent("POST", b"/jobs", f"model={model}".encode(), sample, {"CONTENT_TYPE": "text/csv"}),
    ]


def about_pictures(model: str, size: tuple[int, int]) -> list[Sent]:
    """A picture in each of the ways in which one is sent."""
    file = io.BytesIO()
    Image.new("L", size, 100).save(file, "PNG")
    picture, query = file.getvalue(), f"model={model}".encode()
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + picture
    return [
        Sent("POST", b"/predict", query, picture, {"CONTENT_TYPE": "image/png"}),
        Sent(
            "POST",
            b"/predict",
            query,
            form + b"\r\n--x--\r\n",
            {"CONTENT_TYPE": "multipart/form-data; boundary=x"},
        ),
        _post("/predict", {"model": model, "instances": [{"b64": base64.b64encode(picture).decode()}]}),
    ]


def about_texts(model: str) -> list[Sent]:
    """A text, and several."""
    return [
        _post("/predict", {"model": model, "text": "a good day"}),
        _post("/predict", {"model": model, "texts": ["a good day", "bad, \u00e9\U0001f600", ""]}),
    ]


def _records(sample: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sample.decode())))


def _post(path: str, value: Any, query: str = "") -> Sent:
    return Sent("POST", path.encode(), query.encode(), json.dumps(value).encode(), {"CONTENT_TYPE": JSON})


def _tensor(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values}


def _binary(model: str, row: dict[str, float]) -> Sent:
    """The columns as binary tensors behind their description."""
    described = [
        {"name": name, "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
        for name in row
    ]
    text = json.dumps({"inputs": described}).encode()
    headers = {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(text))}
    packed = struct.pack(f"<{len(row)}d", *row.values())
    return Sent("POST", f"/v2/models/{model}/infer".encode(), b"", text + packed, headers)

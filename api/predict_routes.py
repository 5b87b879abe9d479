"""Predictions on the spot: rows or images in, few enough to be answered at once. Files go to ``/jobs``."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from apiflask import APIBlueprint
from flask import Response, jsonify, request

from api import forms, strict_json, uploads
from api.context import workshop
from api.predict_docs import OPERATION
from base.formats.content import is_image
from jobs.errors import Problem
from models.errors import ModelError
from models.loading import LoadedModel
from models.manifest import Manifest, label_text
from models.payload import Rows, image_rows, read_rows, reference_in, refused, too_many_rows
from models.single import model_input

blueprint = APIBlueprint("predict", __name__, tag="Predictions")


@blueprint.post("/predict")
@blueprint.doc(summary="Predict on the spot", **OPERATION)
def predict() -> Response:
    """One prediction for one row or image; a list of predictions for several."""
    with uploads.drained(request):
        manifest, sent = _read_request()
    if sent.model and request.args.get("model") not in (None, "", sent.model):
        raise refused("/model", "conflict", "The URL and the body name different models; leave one out.")
    data = model_input(manifest, sent)
    model = workshop().models.get(manifest.name, manifest.version)
    answers = _answers(manifest, _score(model, data, sent))
    named = {"name": manifest.name, "version": manifest.version}
    if sent.single:
        return jsonify({"model": named, **answers[0]})
    numbered = [{"index": index, **answer} for index, answer in enumerate(answers)]
    return jsonify({"model": named, "predictions": numbered})


def _read_request() -> tuple[Manifest, Rows]:
    settings = workshop().settings
    query = dict(request.args.lists())
    named = _model_option(uploads.options_of(query, {}))
    body = _body(settings.max_predict_bytes)
    if uploads.is_multipart(request):
        fields, images = _form(body, settings.max_predict_rows)
        manifest = _resolve(_model_option(uploads.options_of(query, fields)))
        _check_takes_images(manifest)
        return manifest, image_rows(images)
    if request.mimetype.startswith("image/") or is_image(body):
        manifest = _resolve(named)
        _check_takes_images(manifest)
        return manifest, image_rows([body])
    value = strict_json.parse(body)
    manifest = _resolve(named or reference_in(value))
    takes = manifest.signature
    return manifest, read_rows(value, takes.names, settings.max_predict_rows, texts=takes.kind == "text")


def _resolve(reference: str | None) -> Manifest:
    shop = workshop()
    return shop.registry.resolve(reference or None, shop.settings.default_model or None)


def _model_option(options: dict[str, str]) -> str | None:
    for name in options:
        if name != "model":
            raise Problem("unknown_option", f"POST /predict has no option {name[:100]!r}, only model.")
    return options.get("model")


def _body(most: int) -> bytes:
    too_large = Problem(
        "too_large",
        f"The body is over the limit of {most} bytes (setting max_predict_bytes). Send a file to POST /jobs.",
    )
    if (request.content_length or 0) > most:
        raise too_large
    blocks, sent = bytearray(), uploads.Body(request)
    while block := sent.read(uploads.BLOCK_BYTES):
        blocks += block
        if len(blocks) > most:
            raise too_large
    return bytes(blocks)


def _form(body: bytes, most: int) -> tuple[dict[str, str], list[bytes]]:
    """The fields of a form, and its images in their order."""
    images: list[bytes] = []

    def take(_name: str, blocks: Iterator[bytes]) -> None:
        if len(images) == most:
            raise too_many_rows(most + 1, most)
        images.append(b"".join(blocks))

    return forms.read_form(uploads.boundary_of(request), io.BytesIO(body).read, take), images


def _check_takes_images(manifest: Manifest) -> None:
    if manifest.signature.kind != "image":
        raise Problem(
            "wrong_input_kind",
            f"{manifest.reference} takes {manifest.signature.takes}, not an image. "
            "Send JSON, or name an image model.",
        )


def _score(model: LoadedModel, data: pa.Table | np.ndarray[Any, Any], sent: Rows) -> pa.Table:
    try:
        return model.score(data, confidence=model.manifest.has_probabilities)
    except (ModelError, MemoryError, OSError):
        raise  # the artefact's or the machine's fault
    except Exception as error:  # an estimator may raise anything at a row that it does not like
        row, reason = _first_refused(model, data, error)
        text = " ".join(str(reason).split())[:500] or type(reason).__name__
        where = "" if sent.single else f" row {row}"
        errors = [{"pointer": sent.place(row, None), "code": "model_refused", "detail": text}]
        raise Problem(
            "model_refused", f"{model.manifest.reference} refused{where}: {text}", errors
        ) from error


def _first_refused(
    model: LoadedModel, data: pa.Table | np.ndarray[Any, Any], reason: Exception
) -> tuple[int, Exception]:
    """The first row that the estimator does not take, and why; by halving, so in a few calls."""
    low, high = 0, len(data)  # rows before `low` are taken, those before `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            model.score(data[low:middle])
        except Exception as error:  # noqa: BLE001 - looked for, and told by the caller
            high, reason = middle, error
        else:
            low = middle
    return low, reason


def _answers(manifest: Manifest, scored: pa.Table) -> list[dict[str, Any]]:
    """One answer per row of ``scored``, whose columns are in the order of the result's schema."""
    targets = manifest.targets
    columns = iter([[_plain(value) for value in column.to_pylist()] for column in scored.columns])
    parts = {"prediction": [next(columns) for _ in targets]}
    if manifest.has_probabilities:
        by_class = [_by_class([label_text(c) for c in t.classes or ()], columns) for t in targets]
        parts["confidence"] = [next(columns) for _ in targets]
        parts["probabilities"] = by_class
    names = [target.name for target in targets]
    return [
        {
            part: _one_or_named(names, [values[row] for values in by_target])
            for part, by_target in parts.items()
        }
        for row in range(len(scored))
    ]


def _by_class(classes: Sequence[str], columns: Any) -> list[dict[str, Any]]:
    values = [next(columns) for _ in classes]
    return [dict(zip(classes, row, strict=True)) for row in zip(*values, strict=True)]


def _one_or_named(names: Sequence[str | None], values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else dict(zip(names, values, strict=True))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity; an estimator may still answer them."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Predictions on the spot: rows or images in, few enough to be answered at once. Files go to ``/jobs``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from api import forms, noting, spreading, strict_json, uploads
from api.answering import answer
from api.context import workshop
from api.predict_docs import OPERATION
from api.small_bodies import read_small
from base.formats.content import is_image
from jobs.errors import Problem
from models.manifest import Manifest
from models.payload import (
    MAX_KEY_LENGTH,
    Rows,
    image_rows,
    is_key,
    read_rows,
    reference_in,
    refused,
    too_many_rows,
)
from models.routing import Route

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

blueprint = APIBlueprint("predict", __name__, tag="Predictions")


@blueprint.post("/predict")
@blueprint.doc(summary="Predict on the spot", **OPERATION)
def predict() -> Response:
    """One prediction for one row or image; a list of predictions for several."""
    with uploads.drained(request):
        route, sent = _read_request()
    if sent.model and request.args.get("model") not in (None, "", sent.model):
        raise refused("/model", "conflict", "The URL and the body name different models; leave one out.")
    manifest = spreading.chosen(route, sent)
    answered, warnings = answer(manifest, sent)
    spreading.copied(route, manifest, sent, answered)
    found = noting.identified(manifest, sent.keys, answered)
    named = {"name": manifest.name, "version": manifest.version}
    told = {"warnings": warnings} if warnings else {}
    if sent.single:
        return _json({"model": named, **found[0], **told})
    numbered = [{"index": index, **one} for index, one in enumerate(found)]
    return _json({"model": named, "predictions": numbered, **told})


def _json(answer: dict[str, Any]) -> Response:
    """As ``jsonify``, which makes a new encoder for each answer, at a tenth of the whole request's cost."""
    return Response(_encode(answer) + "\n", mimetype="application/json")


def _read_request() -> tuple[Route, Rows]:
    settings = workshop().settings
    query = dict(request.args.lists())
    options = _options(query, {})
    body = read_small(request, settings.max_predict_bytes)
    if uploads.is_multipart(request):
        fields, images = _form(body, settings.max_predict_rows)
        options = _options(query, fields)
        route = spreading.routed(options.get("model"))
        _check_takes_images(route.manifest)
        return route, _keyed(image_rows(images), options)
    if request.mimetype.startswith("image/") or is_image(body):
        route = spreading.routed(options.get("model"))
        _check_takes_images(route.manifest)
        return route, _keyed(image_rows([body]), options)
    value = strict_json.parse(body, constant=float)
    route = spreading.routed(options.get("model") or reference_in(value))
    takes = route.manifest.signature
    rows = read_rows(value, takes.names, settings.max_predict_rows, texts=takes.kind == "text")
    return route, _keyed(rows, options)


def _options(query: Mapping[str, list[str]], fields: Mapping[str, str]) -> dict[str, str]:
    options = uploads.options_of(query, fields)
    for name in options:
        if name not in ("model", "key"):
            raise Problem(
                "unknown_option", f"POST /predict has no option {name[:100]!r}, only model and key."
            )
    return options


def _keyed(sent: Rows, options: Mapping[str, str]) -> Rows:
    """With the key that stands beside an image or a bare record, which have no room for it."""
    if "key" not in options:
        return sent
    key = options["key"]
    if not sent.single or sent.keys not in (None, [key]) or not is_key(key):
        text = f"is one row's name, of 1 to {MAX_KEY_LENGTH} printable characters; the body must not differ"
        raise Problem("bad_option", f"key {text}. It was {key[:100]!r}.")
    return replace(sent, keys=[key])


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

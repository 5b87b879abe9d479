"""One prediction as soon as a model is loaded: what libraries do only once is done before anybody waits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import structlog

from models.images import model_rows
from models.loading import LoadedModel
from models.manifest import ARROW_KINDS, ImageSpec, Manifest

log = structlog.get_logger()


def warm_up(model: LoadedModel, *, single_rows: bool) -> None:
    """Let the model answer its example; with ``single_rows`` also the short way, which has to be made first.

    A model that fails at it is not refused for that: requests are told what is wrong with their own rows.
    """
    rows = _rows(model.manifest)
    if rows is None:
        return
    try:
        model.score(rows)
        if single_rows and isinstance(rows, pa.Table):
            model.plain_rows.answer(model.manifest.example)
    except Exception as error:  # noqa: BLE001 - an estimator may raise anything
        log.warning("model failed at its example", model=model.manifest.reference, reason=repr(error)[:300])


def _rows(manifest: Manifest) -> pa.Table | np.ndarray | None:
    """The example as a table, or a black picture; None where nothing is known that the model would take."""
    image, example = manifest.signature.image, manifest.example
    if image is not None:
        return None if image.any_size else model_rows([_black(image)], image)
    if example is None:
        return None
    columns = manifest.signature.columns
    return pa.table(
        {spec.name: pa.array([example.get(spec.name)], ARROW_KINDS[spec.kind]) for spec in columns}
    )


def _black(spec: ImageSpec) -> np.ndarray:
    width, height = spec.width or 1, spec.height or 1
    return np.zeros((height, width, 3) if spec.mode == "RGB" else (height, width), np.uint8)

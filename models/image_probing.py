"""Trying an image model when it is added: pictures for it to answer, and what decoding one costs.

The pictures are made here, always the same ones; nothing of a user's is read.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from sklearn.exceptions import NotFittedError

from models import probing
from models.errors import ArtefactRefused, SignatureRefused
from models.images import decode_image, model_rows
from models.manifest import ImageSpec, Signature

# Widths and heights for a model that takes any: a step of its own should cope with each.
ANY_SIZES = ((320, 240), (240, 320), (256, 256), (640, 480))
SMALL = (8, 8)
LARGE = (1600, 1200)
QUALITY = 85
_TIMES = 5


def trial_rows(spec: ImageSpec) -> np.ndarray:
    """Made-up pictures as the model is given them: as many as fit into probing's TIMED_CELLS."""
    sizes = ANY_SIZES if spec.width is None or spec.height is None else ((spec.width, spec.height),)
    cells = sum(width * height for width, height in sizes) * spec.channels // len(sizes)
    count = max(probing.PROBE_ROWS, min(probing.VERIFIED_ROWS, probing.TIMED_CELLS // cells))
    generator = np.random.default_rng(0)
    pictures = [_noise(generator, sizes[number % len(sizes)], spec) for number in range(count)]
    return model_rows(pictures, spec)


def image_signature(estimator: Any, spec: ImageSpec, rows: np.ndarray) -> Signature:
    """Tried on ``rows``. SignatureRefused if the model fails on them, with its own words."""
    wanted = getattr(estimator, "n_features_in_", spec.features)
    if spec.layout == "flat" and not spec.any_size and wanted != spec.features:
        raise SignatureRefused(
            "column_count",
            f"--image {spec.width}x{spec.height} --mode {spec.mode} gives {spec.features} numbers, "
            f"the model takes {wanted}.",
        )
    try:
        probing.run(estimator, rows)
    except NotFittedError as not_fitted:
        raise ArtefactRefused(
            "not_fitted", "The model is not fitted: call fit before joblib.dump, and add it again."
        ) from not_fitted
    except ArtefactRefused:
        raise
    except Exception as error:
        given = "a list of arrays" if spec.any_size else f"an array of shape {rows.shape}"
        raise SignatureRefused(
            "cannot_score_sample",
            f"The model failed on {len(rows)} images ({spec}), given as {given}: "
            f"{type(error).__name__}: {error}. Check --image, --mode and --layout.",
        ) from error
    return Signature(kind="image", named=False, input="matrix", image=spec)


def decoding_cost(spec: ImageSpec) -> tuple[float, float]:
    """Seconds for a tiny image, and seconds more for each byte of a larger one.

    By a PNG of 8 x 8 pixels and a JPEG of two megapixels, of the size and detail of a photo. A byte of
    progressive JPEG costs about twice as much, of WebP five times, of the others less: by so much are their
    chunks longer or shorter than wanted.
    """
    small, large = _png(), _photo()
    few, many = (_shortest(data, spec) for data in (small, large))
    return few, max(many - few, 0.0) / (len(large) - len(small))


def _shortest(data: bytes, spec: ImageSpec) -> float:
    """CPU seconds of the best of a few times: what else runs on the machine only ever makes it longer."""
    taken = []
    for _ in range(_TIMES):
        started = time.thread_time()
        decode_image(data, spec)
        taken.append(time.thread_time() - started)
    return min(taken)


def _noise(generator: np.random.Generator, size: Sequence[int], spec: ImageSpec) -> np.ndarray:
    shape = (size[1], size[0], 3) if spec.mode == "RGB" else (size[1], size[0])
    return generator.integers(0, 256, shape, dtype=np.uint8)


def _png() -> bytes:
    noise = _noise(np.random.default_rng(0), SMALL, ImageSpec(mode="RGB"))
    return _saved(Image.fromarray(noise), "PNG")


def _photo() -> bytes:
    """Coarse shapes with fine noise: about 400 KB, as a photo of this size has."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(_noise(generator, (40, 30), ImageSpec(mode="RGB")))
    shapes = np.asarray(coarse.resize(LARGE, Image.Resampling.BICUBIC), dtype=np.int16)
    grain = generator.normal(0, 5, (LARGE[1], LARGE[0], 1)).astype(np.int16)
    return _saved(Image.fromarray((shapes + grain).clip(0, 255).astype(np.uint8)), "JPEG", quality=QUALITY)


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()

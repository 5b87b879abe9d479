"""The image sets that are scored, as zips made once from fixed seeds, and the models that score them.

``icons`` are PNGs of 28 x 28 grey pixels: what a set costs beside its decoding. ``photos`` are JPEGs of
640 x 480 colour pixels, as thumbnails of a shop or frames of a camera: where decoding is nearly all. A set
repeats its first pictures under new names: decoders do not remember, and the file is sooner made.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data import SEED
from models.manifest import ImageSpec

DISTINCT = 200
TRAINING_IMAGES = 1_000


@dataclass(frozen=True)
class ImageSet:
    """A kind of picture and what its model takes."""

    name: str
    size: tuple[int, int]
    format: str
    spec: ImageSpec


SETS = {
    "icons": ImageSet("icons", (28, 28), "PNG", ImageSpec(width=28, height=28, mode="L")),
    "photos": ImageSet("photos", (640, 480), "JPEG", ImageSpec(width=64, height=64, mode="RGB")),
}


def archive(folder: Path, name: str, count: int) -> Path:
    """A zip of ``count`` pictures, made if it is not there yet."""
    path = folder / f"{name}-{count}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [_encoded(SETS[name], number) for number in range(min(count, DISTINCT))]
        draft = path.with_suffix(".draft")
        with zipfile.ZipFile(draft, "w") as out:
            for number in range(count):
                member = zipfile.ZipInfo(f"{number:06}.{SETS[name].format.lower()}")
                out.writestr(member, pictures[number % len(pictures)])
        draft.rename(path)
    return path


def image_model_file(folder: Path, name: str) -> Path:
    """A logistic regression that tells which quarter of a picture is the brightest, fitted if need be."""
    path = folder / f"{name}.joblib"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        spec = SETS[name].spec
        pictures = [_picture(SETS[name], DISTINCT + number) for number in range(TRAINING_IMAGES)]
        rows = np.stack([_small(picture, spec) for picture in pictures])
        labels = [_brightest_quarter(picture) for picture in pictures]
        draft = path.with_suffix(".draft")
        joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels), draft)
        draft.rename(path)
    return path


def _picture(kind: ImageSet, number: int) -> Image.Image:
    """Soft patches of colour with some grain: as hard to pack as a photograph."""
    generator = np.random.default_rng([SEED, 3, number])
    patches = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    soft = Image.fromarray(patches).resize(kind.size, Image.Resampling.BICUBIC)
    grain = generator.normal(scale=6.0, size=(kind.size[1], kind.size[0], 1))
    pixels = np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(kind.spec.mode)


def _encoded(kind: ImageSet, number: int) -> bytes:
    out = io.BytesIO()
    _picture(kind, number).save(out, kind.format)
    return out.getvalue()


def _small(picture: Image.Image, spec: ImageSpec) -> np.ndarray:
    if spec.width is None or spec.height is None:
        raise ValueError("the sets of this benchmark have one size")
    small = picture.resize((spec.width, spec.height), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64).reshape(-1)


def _brightest_quarter(picture: Image.Image) -> int:
    grey = np.asarray(picture.convert("L").resize((2, 2), Image.Resampling.BOX))
    return int(np.argmax(grey))

"""Image models when they are added: every layout and images of any size are tried and timed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from models.errors import ArtefactRefused
from models.image_probing import decoding_cost
from models.images import decode_image, decode_picture, model_rows
from models.loading import LoadedModel
from models.manifest import ImageSpec
from tests.unit.models.making import added, added_file
from tests.unit.models.picturing import encoded, noise

CODE = """
import numpy as np

def flat(images):
    assert images.shape[1:] == {shape}, images.shape
    return images.reshape(len(images), -1)

def brightness(images):
    assert images.ndim == 1
    assert all(image.dtype == np.uint8 and image.shape[2:] == (3,) for image in images)
    return np.array([image.mean(axis=(0, 1)) for image in images])
"""
CLASSES = np.arange(60) % 3


def saved(folder: Path, step: str, shape: tuple[int, ...], rows: np.ndarray) -> tuple[Path, Path, list[Any]]:
    """A model with a step of its own, saved as a user would: its file, its module, and what it answers."""
    code, file = folder / "image_steps.py", folder / "own.joblib"
    code.write_text(CODE.format(shape=shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        transformer = FunctionTransformer(getattr(importlib.import_module("image_steps"), step))
        estimator = make_pipeline(transformer, RandomForestClassifier(5, random_state=0)).fit(rows, CLASSES)
        joblib.dump(estimator, file)
        expected: list[Any] = estimator.predict(rows).tolist()
    sys.modules.pop("image_steps")
    return file, code, expected


def folder(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir()
    return path


def answers(model: LoadedModel, rows: np.ndarray) -> list[Any]:
    labels: list[Any] = model.score(rows)["prediction"].to_pylist()
    return labels


def test_flat_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(0, 16, (60, 12))
    estimator = RandomForestClassifier(5, random_state=0).fit(pixels, CLASSES)
    spec = ImageSpec(width=2, height=2, mode="RGB", high=16)
    model = added(tmp_path, estimator, image=spec)
    signature = model.manifest.signature
    assert (signature.kind, signature.columns, signature.image) == ("image", (), spec)
    assert answers(model, pixels) == estimator.predict(pixels).tolist()


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_layouts_of_more_dimensions(tmp_path: Path, layout: Any) -> None:
    spec = ImageSpec(width=5, height=3, mode="RGB", layout=layout, low=-1, high=1)
    rows = model_rows([noise(5, 3, seed=seed) for seed in range(60)], spec)
    file, code, expected = saved(tmp_path, "flat", spec.shape, rows)
    model = added_file(folder(tmp_path, "right"), file, image=spec, code=code)
    assert answers(model, rows) == expected
    other = spec.model_copy(update={"layout": "CHW" if layout == "HWC" else "HWC"})
    with pytest.raises(ArtefactRefused, match="Check --image, --mode and --layout") as refused:
        added_file(folder(tmp_path, "wrong"), file, image=other, code=code)
    assert refused.value.code == "cannot_score_sample"


def test_images_of_any_size(tmp_path: Path) -> None:
    spec = ImageSpec(mode="RGB")
    files = [encoded(noise(3 + seed, 9 - seed // 10, seed=seed)) for seed in range(60)]
    rows = model_rows([decode_picture(data, spec) for data in files], spec)
    file, code, expected = saved(tmp_path, "brightness", (), rows)
    model = added_file(folder(tmp_path, "right"), file, image=spec, code=code)
    assert model.manifest.signature.image == spec
    assert answers(model, rows) == expected
    with pytest.raises(ArtefactRefused, match="any size L") as refused:
        added_file(folder(tmp_path, "wrong"), file, image=ImageSpec(mode="L"), code=code)
    assert refused.value.code == "cannot_score_sample"


def test_a_model_of_large_images_is_tried_on_few(tmp_path: Path) -> None:
    spec = ImageSpec(width=224, height=224, mode="RGB")
    rows = model_rows([noise(224, 224, seed=seed) for seed in range(6)], spec)
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(2, max_depth=1)).fit(rows, [0, 1] * 3)
    model = added(tmp_path, estimator, image=spec)
    assert answers(model, rows) == estimator.predict(rows).tolist()


@pytest.mark.parametrize("spec", [ImageSpec(width=16, height=16, mode="RGB"), ImageSpec(mode="L")], ids=str)
def test_larger_files_are_known_to_cost_more(spec: ImageSpec) -> None:
    tiny, by_byte = decoding_cost(spec)
    assert tiny > 0
    assert by_byte > 0


def test_the_cost_of_decoding_is_recorded(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(0, 255, (60, 4))
    estimator = RandomForestClassifier(1, max_depth=1).fit(rows, CLASSES)
    assert added(
        tmp_path / "images", estimator, image=ImageSpec(width=2, height=2)
    ).manifest.byte_cost_seconds
    assert not added(tmp_path / "table", estimator).manifest.byte_cost_seconds


def test_a_model_that_is_not_fitted_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused) as refused:
        added(tmp_path, RandomForestClassifier(), image=ImageSpec(width=2, height=2))
    assert refused.value.code == "not_fitted"


@pytest.mark.parametrize("draft", [False, True])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_one_by_one_is_the_same_as_in_a_batch(form: str, draft: bool) -> None:
    spec = ImageSpec(width=7, height=5, mode="RGB", resize="lanczos", mean=(1, 2, 3), draft=draft)
    files = [encoded(noise(40 + seed, 50 - seed, seed=seed), form) for seed in range(5)]
    batch = model_rows([decode_picture(data, spec) for data in files], spec)
    np.testing.assert_array_equal(batch, [decode_image(data, spec) for data in files])

"""Image models through the whole stack: they answer as in process; bad pictures have a reason."""

from __future__ import annotations

import importlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from base.database import Database
from models.adding import NewVersion
from models.images import decode_image, decode_picture, model_rows
from models.manifest import ImageSpec
from models.registry import Registry
from rowmill.stack import Stack
from tests.e2e.serving import result, score
from tests.unit.models.picturing import encoded, noise

SHAPES = ImageSpec(width=24, height=24, mode="L", resize="bilinear", high=1)
ANY = ImageSpec(mode="RGB")
OWN_STEP = """
import numpy as np

def mean_colours(images):
    return np.array([image.mean(axis=(0, 1)) for image in images])
"""


def zipped(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def single(url: str, model: str, data: bytes) -> dict[str, Any]:
    answer = httpx.post(f"{url}/predict", data={"model": model}, files={"image": data}, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_shapes_answer_as_scikit_learn_does(url: str, trained: Path) -> None:
    archive = (trained / "shapes.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as pictures:
        files = {name: pictures.read(name) for name in pictures.namelist()}
    estimator = joblib.load(trained / "shapes.joblib")
    expected = estimator.predict(np.stack([decode_image(data, SHAPES) for data in files.values()])).tolist()
    job = score(url, archive, model="shapes", chunk_rows=20)
    scored = result(url, job).to_pandas()
    assert scored["file"].tolist() == list(files)
    assert scored["prediction"].tolist() == expected
    assert [single(url, "shapes", data)["prediction"] for data in list(files.values())[:10]] == expected[:10]


def test_images_of_any_size_reach_the_models_own_step(stack: Stack, url: str, tmp_path: Path) -> None:
    (tmp_path / "mean_colours.py").write_text(OWN_STEP)
    files = {f"{number}.png": encoded(noise(40 + number, 70 - number, seed=number)) for number in range(12)}
    rows = model_rows([decode_picture(data, ANY) for data in files.values()], ANY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        step = FunctionTransformer(importlib.import_module("mean_colours").mean_colours)
        estimator = make_pipeline(step, KNeighborsClassifier(1)).fit(rows, np.arange(12))
        joblib.dump(estimator, tmp_path / "colours.joblib")
    sys.modules.pop("mean_colours")
    database = Database(stack.settings.database_url)
    new = NewVersion(
        name="colours", file=tmp_path / "colours.joblib", code=tmp_path / "mean_colours.py", image=ANY
    )
    Registry(database, stack.settings.data_dir / "models").add(new)
    database.dispose()
    scored = result(url, score(url, zipped(files), model="colours", chunk_rows=5)).to_pandas()
    assert scored["prediction"].tolist() == list(range(12))
    answer = single(url, "colours", files["7.png"])
    assert answer["prediction"] == 7
    assert answer["probabilities"]["7"] == scored["probability_7"][7] == 1


def test_every_bad_picture_is_a_row_with_its_reason(url: str, trained: Path) -> None:
    with zipfile.ZipFile(trained / "shapes.zip") as pictures:
        good = {name: pictures.read(name) for name in pictures.namelist()[:8]}
    whole = encoded(noise(30, 30), "JPEG")
    wide = encoded(Image.new("L", (8000, 8000)), "PNG")
    bad = {
        "empty.png": (b"", "empty_member"),
        "text.png": (b"hello", "image_unreadable"),
        "page.jpg": (b"<html></html>", "image_unreadable"),
        "cut.jpg": (whole[: len(whole) // 2], "image_unreadable"),
        "head.png": (encoded(noise(9, 9))[:60], "image_unreadable"),
        "huge.png": (wide, "image_too_large"),
        "float.tif": (encoded(np.ones((4, 4), np.float32), "TIFF"), "image_unsupported"),
    }
    members: dict[str, bytes] = {}
    codes: list[str | None] = []
    for (name, data), (wrong, (broken, code)) in zip(good.items(), bad.items(), strict=False):
        members |= {name: data, wrong: broken}
        codes += [None, code]
    job = score(url, zipped(members), model="shapes", chunk_rows=3)
    table = result(url, job)
    assert table["file"].to_pylist() == list(members)
    assert table["error"].to_pylist() == codes
    scored = table.to_pandas()
    estimator = joblib.load(trained / "shapes.joblib")
    for name, data in list(good.items())[: len(bad)]:
        row = scored[scored["file"] == name].iloc[0]
        assert row["prediction"] == estimator.predict(decode_image(data, SHAPES)[None])[0]
    errors = httpx.get(url + job["links"]["errors"], timeout=60).text
    assert "is 8000 x 8000 = 64000000 pixels; 40000000 pixels" in errors
    refused = httpx.post(f"{url}/predict", data={"model": "shapes"}, files={"image": wide}, timeout=60)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "image_too_large"

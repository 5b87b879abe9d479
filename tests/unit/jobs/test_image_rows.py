"""Image members to result rows: in bounded batches, in order, and with the pixels of a single prediction."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from base.formats import Member, RowProblem
from jobs import rows as scoring
from jobs.scoring import Scored, Scorer
from models.manifest import ImageSpec, Manifest, Signature, StoredFile, Target
from models.payload import image_rows, read_rows
from models.single import model_input
from tests.unit.models.picturing import FORMATS, encoded, noise

SPECS = [
    ImageSpec(width=4, height=3, mode="RGB", resize="lanczos", high=1, mean=(0.4, 0.5, 0.6), layout="CHW"),
    ImageSpec(width=5, height=5, mode="L", draft=True),
    ImageSpec(mode="RGB"),
    ImageSpec(mode="L"),
]


def manifest(spec: ImageSpec) -> Manifest:
    """A version that was never trained: its signature is all that matters."""
    return Manifest(
        name="pictures",
        version=1,
        sha256="0" * 64,
        created_at="2026-01-01T00:00:00Z",
        task="regression",
        estimator="made.Up",
        artefact=StoredFile(file="model.joblib", sha256="0" * 64, bytes=1, source="m.joblib"),
        signature=Signature(kind="image", named=False, input="matrix", image=spec),
        targets=(Target(name=None),),
        has_probabilities=False,
        labels_from_probabilities=False,
        row_cost_seconds=1e-6,
    )


class Recorder:
    """In the place of a loaded model: keeps what it was given, and answers the sum of each image."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []

    def __call__(self, rows: np.ndarray) -> pa.Table:
        self.batches.append(rows)
        return pa.table({"prediction": [float(np.sum(row)) for row in rows]})

    @property
    def images(self) -> list[np.ndarray]:
        return [image for batch in self.batches for image in batch]


def scored(members: list[Member], spec: ImageSpec, model: Recorder) -> Scored:
    schema = pa.schema([pa.field("prediction", pa.float64())])
    return scoring.score_images(Scorer(schema, model, 1000), manifest(spec), iter(members), lambda: None)


def pictures(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield encoded(noise(50 + number, 60 - number, seed=number), FORMATS[number % len(FORMATS)])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_job_and_a_single_prediction_give_the_model_the_same_bits(spec: ImageSpec) -> None:
    files = list(pictures(12))
    model = Recorder()
    scored([Member(f"{number}.bin", data, None) for number, data in enumerate(files)], spec, model)
    texts = [base64.b64encode(data).decode() for data in files]
    sent = read_rows({"instances": [{"image": text} for text in texts]}, (), 100)
    for job, data, several in zip(model.images, files, model_input(manifest(spec), sent).data, strict=True):
        alone = model_input(manifest(spec), image_rows([data])).data
        assert len(alone) == 1
        np.testing.assert_array_equal(job, alone[0])
        np.testing.assert_array_equal(job, several)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_batches_are_bounded_by_what_the_model_is_given(
    spec: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [Member(f"{number}.bin", data, None) for number, data in enumerate(pictures(12))]
    whole, parts = Recorder(), Recorder()
    expected = scored(members, spec, whole)
    largest = max(np.asarray(image).nbytes for image in whole.images)
    monkeypatch.setattr(scoring, "BATCH_BYTES", 2 * largest)
    found = scored(members, spec, parts)
    assert len(whole.batches) == 1
    assert len(parts.batches) >= 4
    assert max(sum(image.nbytes for image in batch) for batch in parts.batches) < 3 * largest
    assert found.table.equals(expected.table)


def test_rows_keep_their_place_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS[0]
    monkeypatch.setattr(scoring, "BATCH_BYTES", 8 * 3 * int(spec.features or 0))
    good = encoded(np.full((3, 4, 3), 255, dtype=np.uint8))
    problem = RowProblem(7, None, "file", "7", "encrypted", "the member '7' is encrypted")
    members = [Member(str(number), good, None) for number in range(10)]
    members[1] = Member("1", b"", None)
    members[4] = Member("4" * 300, good[:-30], None)
    members[7] = Member("7", None, problem)
    model = Recorder()
    found = scored(members, spec, model)
    assert [len(batch) for batch in model.batches] == [2, 2, 2, 1]
    assert found.table["file"].to_pylist() == [member.name for member in members]
    errors: list[Any] = [None] * 10
    errors[1] = errors[4] = "image_unreadable"
    errors[7] = "encrypted"
    assert found.table["error"].to_pylist() == errors
    predictions = found.table["prediction"].to_pylist()
    assert [value is None for value in predictions] == [code is not None for code in errors]
    assert [(p.row, p.code, p.value) for p in found.problems] == [
        (1, "image_unreadable", "1"),
        (4, "image_unreadable", "4" * 200),
        (7, "encrypted", "7"),
    ]


def test_no_members_are_no_rows() -> None:
    found = scored([], SPECS[0], Recorder())
    assert found.table.column_names == ["file", "prediction", "error"]
    assert (len(found.table), found.problems) == (0, [])

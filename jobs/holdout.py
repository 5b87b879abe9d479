"""A labelled file, scored as a job would score it, but here and now: what a version is worth on new rows.

Rows are read and scored a chunk at a time and forgotten once they are counted, so memory does not grow with
the file. Labels are a column of a table, or the folders of an image set (``cat/001.png``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.formats import (
    CsvOptions,
    InputRefused,
    InputShape,
    Wanted,
    decode,
    plan,
    plan_members,
    read,
    read_members,
    sniff,
    write_index,
)
from base.settings import Settings
from jobs.columns import match
from jobs.errors import Problem
from jobs.planning import rows_for
from jobs.rows import score_images, score_table, scorer_of
from jobs.scoring import ERROR_FIELD
from models.errors import ModelError
from models.gate import Measured
from models.labels import MISSING, Alphabet, true_numbers
from models.loading import LoadedModel
from models.manifest import Manifest
from models.metrics import Figures, LabelMetrics, NumberMetrics, ProbabilityMetrics


def measure(model: LoadedModel, file: Path, target: str | None, settings: Settings) -> Measured:
    """Score every row of ``file`` and compare the answers with its labels, in the column ``target``.

    Raises ModelError for a model, a file or labels that do not fit.
    """
    counts = _counts_for(model.manifest)
    try:
        for answers, labels in _scored(model, file, target, settings):
            counts.add(answers, labels)
    except (InputRefused, Problem) as refused:
        message = f"The holdout {file.name} cannot be used. {refused.message}"
        raise ModelError(refused.code, message) from refused
    except OSError as error:
        raise ModelError("bad_holdout", f"The holdout {file} cannot be read: {error.strerror}.") from error
    if not counts.rows:
        raise ModelError("bad_holdout", f"The holdout {file.name} has no row with a label.")
    return Measured(counts.rows, counts.unlabelled, counts.failed, counts.figures())


def _counts_for(manifest: Manifest) -> _Classes | _Numbers:
    if len(manifest.targets) == 1 and manifest.task == "classification" and manifest.targets[0].classes:
        return _Classes(manifest)
    if len(manifest.targets) == 1 and manifest.task == "regression":
        return _Numbers()
    what = f"{manifest.task}, {len(manifest.targets)} outputs" if len(manifest.targets) > 1 else manifest.task
    raise ModelError(
        "no_metrics",
        f"A holdout needs a classifier with classes or a regression, of one output; {manifest.estimator} is "
        f"another ({what}).",
    )


@dataclass
class _Counts:
    rows: int = 0
    unlabelled: int = 0
    failed: int = 0
    seen: int = 0

    def _answered(self, answers: pa.Table, labelled: np.ndarray) -> np.ndarray:
        """Which rows have both a label and an answer; the others are counted."""
        good = answers.column(ERROR_FIELD.name).is_null().to_numpy()
        self.seen += len(labelled)
        self.rows += int(labelled.sum())
        self.unlabelled += int((~labelled).sum())
        self.failed += int((labelled & ~good).sum())
        chosen: np.ndarray = labelled & good
        return chosen


@dataclass
class _Numbers(_Counts):
    """Of a regression."""

    metrics: NumberMetrics = field(default_factory=NumberMetrics)

    def add(self, answers: pa.Table, labels: pa.ChunkedArray) -> None:
        true = true_numbers(labels, self.seen)
        chosen = self._answered(answers, ~np.isnan(true))
        self.metrics.add(true[chosen], answers.column("prediction").to_numpy()[chosen])

    def figures(self) -> Figures:
        return self.metrics.figures()


class _Classes(_Counts):
    """Of a classifier; without probabilities it has fewer figures."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        self._alphabet = Alphabet(manifest.targets[0].classes or (), manifest.labels)
        classes = len(self._alphabet.classes)
        self._labels = LabelMetrics(classes)
        self._probabilities = ProbabilityMetrics(classes) if manifest.has_probabilities else None

    def add(self, answers: pa.Table, labels: pa.ChunkedArray) -> None:
        true = self._alphabet.positions(labels, self.seen)
        chosen = self._answered(answers, true != MISSING)
        answers = answers.filter(pa.array(chosen))
        predicted = answers.column("prediction")
        known = pa.array(list(self._alphabet.classes), predicted.type)
        self._labels.add(true[chosen], pc.index_in(predicted, value_set=known).to_numpy().astype(np.int64))
        if self._probabilities:
            names = [name for name in answers.column_names if name.startswith("probability_")]
            matrix = np.column_stack([answers.column(name).to_numpy() for name in names])
            self._probabilities.add(true[chosen], matrix)

    def figures(self) -> Figures:
        return {**self._labels.figures(), **(self._probabilities.figures() if self._probabilities else {})}


def _scored(
    model: LoadedModel, file: Path, target: str | None, settings: Settings
) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
    """Answers and labels of all rows, a chunk at a time."""
    shape = sniff(file, CsvOptions(), max_decoded_bytes=settings.max_decoded_bytes)
    with tempfile.TemporaryDirectory() as folder:
        path = _decoded(file, Path(folder), shape, settings)
        if shape.is_archive:
            yield from _of_images(model, path, Path(folder) / "members", shape, settings)
        else:
            yield from _of_table(model, path, target, shape, settings)


def _decoded(file: Path, folder: Path, shape: InputShape, settings: Settings) -> Path:
    if not shape.needs_decoding:
        return file
    path = folder / "decoded"
    with path.open("wb") as out:
        decode(file, out, shape, max_decoded_bytes=settings.max_decoded_bytes)
    return path


def _of_table(
    model: LoadedModel, path: Path, target: str | None, shape: InputShape, settings: Settings
) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
    manifest, scorer = model.manifest, scorer_of(model, ())
    names = [column.name for column in shape.columns]
    if target not in names:
        said = f"--target {target}:" if target else "Name the labels with --target COLUMN:"
        has = f"the holdout has the columns {', '.join(names)}"
        raise ModelError("unknown_target", f"{said} {has}.")
    label = names.index(target)
    wanted = _wanted_beside(label, manifest, shape)
    rows = rows_for(manifest, shape, settings.chunk_seconds)
    for span in plan(path, shape, chunk_rows=rows, max_chunk_bytes=settings.max_chunk_bytes):
        chunk = read(path, shape, span, wanted, (label,))
        scored = score_table(scorer, manifest, chunk, _never_stops)
        yield scored.table.remove_column(0), scored.table.column(0)  # the label is the one that was kept


def _wanted_beside(label: int, manifest: Manifest, shape: InputShape) -> list[Wanted]:
    """The model's columns, found as if there were no labels: their number counts where names are unknown."""
    others = replace(shape, columns=(*shape.columns[:label], *shape.columns[label + 1 :]))
    found = match(manifest, others, (), ()).wanted
    return [replace(want, position=want.position + (want.position >= label)) for want in found]


def _of_images(
    model: LoadedModel, path: Path, index: Path, shape: InputShape, settings: Settings
) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
    manifest, scorer = model.manifest, scorer_of(model, ())
    match(manifest, shape, (), ())
    write_index(path, shape, index, _never_stops)
    rows = rows_for(manifest, shape, settings.chunk_seconds)
    for span in plan_members(index, rows, settings.max_chunk_bytes):
        scored = score_images(scorer, manifest, read_members(path, index, span), _never_stops)
        folders = [PurePosixPath(name).parent.name for name in scored.table.column("file").to_pylist()]
        yield scored.table, pa.chunked_array([pa.array(folders, pa.string())])


def _never_stops() -> None:
    """No lease is held that could be lost."""

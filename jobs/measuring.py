"""What a version is worth on a holdout, alone or beside a rival: how answers and labels become figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.formats import InputRefused
from base.settings import Settings
from jobs.errors import Problem
from jobs.holdout import Holdout, Scored, opened
from jobs.scoring import ERROR_FIELD
from models.errors import ModelError
from models.gate import FAILED, Contest, Measured, Rival
from models.labels import MISSING, Alphabet, true_numbers
from models.loading import LoadedModel
from models.manifest import Manifest
from models.metrics import Figures, LabelMetrics, NumberMetrics, ProbabilityMetrics


def measure(model: LoadedModel, file: Path, target: str | None, settings: Settings) -> Measured:
    """Score every row of ``file`` and compare the answers with its labels, in the column ``target``.

    Raises ModelError for a model, a file or labels that do not fit.
    """
    counts = _Counts(_figures_of(model.manifest))
    with opened(file, target, settings) as holdout:
        for answers, labels in holdout.scored(model, holdout.chunk_rows(model.manifest)):
            counts.add(answers, labels)
    return counts.measured(file)


def measure_beside(
    rival: LoadedModel, model: LoadedModel, file: Path, target: str | None, settings: Settings
) -> tuple[Measured, Contest]:
    """The same, and how ``rival`` does on the same rows; errors that are the rival's say so."""
    counts = _Counts(_figures_of(model.manifest))
    with naming_rival(rival.manifest):
        contest = _contest(model.manifest, rival.manifest)
    with opened(file, target, settings) as holdout:
        rows = holdout.chunk_rows(model.manifest, rival.manifest)
        both = zip(holdout.scored(model, rows), _by_rival(holdout, rival, rows), strict=True)
        for (answers, labels), (others, _) in both:
            first_row = counts.seen
            contest.add((answers, others), labels, counts.add(answers, labels), first_row)
    measured = counts.measured(file)
    return measured, contest.result(rival.manifest.reference, measured)


@contextmanager
def naming_rival(rival: Manifest) -> Iterator[None]:
    """What goes wrong with the rival is not the new version's fault, and there is a way out."""
    try:
        yield
    except (ModelError, InputRefused, Problem) as refused:
        raise ModelError(
            refused.code,
            f"The rival {rival.reference} cannot be measured: {refused.message} "
            "Name another version with --better-than, or leave it out for this one.",
        ) from refused


def _by_rival(holdout: Holdout, rival: LoadedModel, rows: int) -> Iterator[Scored]:
    with naming_rival(rival.manifest):
        yield from holdout.scored(rival, rows)


def _figures_of(manifest: Manifest) -> _Classes | _Numbers:
    if len(manifest.targets) == 1 and manifest.task == "classification" and manifest.targets[0].classes:
        return _Classes(manifest, _alphabet_of(manifest))
    if len(manifest.targets) == 1 and manifest.task == "regression":
        return _Numbers()
    what = f"{manifest.task}, {len(manifest.targets)} outputs" if len(manifest.targets) > 1 else manifest.task
    raise ModelError(
        "no_metrics",
        f"A holdout needs a classifier with classes or a regression, of one output; {manifest.estimator} is "
        f"another ({what}).",
    )


def _contest(model: Manifest, rival: Manifest) -> _Contest:
    """Of classes all labelled rows count: no answer is a wrong one, and so is a label that is not known.

    Of numbers those rows count that both answer, for a missing one is neither right nor wrong.
    """
    ours, theirs = _figures_of(model), _figures_of(rival)
    if model.task != rival.task:
        raise ModelError("no_metrics", f"its task is {rival.task}, that of the new version {model.task}.")
    if isinstance(theirs, _Classes):
        theirs = _Classes(rival, _alphabet_of(rival).with_those_of(_alphabet_of(model)))
    return _Contest(ours, theirs)


def _alphabet_of(manifest: Manifest) -> Alphabet:
    return Alphabet(manifest.targets[0].classes or (), manifest.labels)


def _answered(answers: pa.Table) -> np.ndarray:
    found: np.ndarray = answers.column(ERROR_FIELD.name).is_null().to_numpy()
    return found


class _Numbers:
    """Of a regression."""

    def __init__(self) -> None:
        self._metrics = NumberMetrics()

    def truth(self, labels: pa.ChunkedArray, first_row: int) -> tuple[np.ndarray, np.ndarray]:
        """The true values, and which rows have one."""
        true = true_numbers(labels, first_row)
        return true, ~np.isnan(true)

    def add(self, true: np.ndarray, answers: pa.Table, chosen: np.ndarray) -> None:
        """The ``chosen`` rows, which have both."""
        self._metrics.add(true[chosen], answers.column("prediction").to_numpy()[chosen])

    def figures(self) -> Figures:
        return self._metrics.figures()


class _Classes:
    """Of a classifier; without probabilities it has fewer figures.

    The alphabet may have labels behind the classes of the model: those count as wrong.
    """

    def __init__(self, manifest: Manifest, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._known = manifest.targets[0].classes or ()
        self._labels = LabelMetrics(len(alphabet.classes))
        self._probabilities = ProbabilityMetrics(len(self._known)) if manifest.has_probabilities else None

    def truth(self, labels: pa.ChunkedArray, first_row: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the true classes, and which rows have one."""
        true = self._alphabet.positions(labels, first_row)
        return true, true != MISSING

    def add(self, true: np.ndarray, answers: pa.Table, chosen: np.ndarray) -> None:
        """The ``chosen`` rows, which have both."""
        answers = answers.filter(pa.array(chosen))
        predicted = answers.column("prediction")
        known = pa.array(list(self._known), predicted.type)
        self._labels.add(true[chosen], pc.index_in(predicted, value_set=known).to_numpy().astype(np.int64))
        if self._probabilities:
            names = [name for name in answers.column_names if name.startswith("probability_")]
            matrix = np.column_stack([answers.column(name).to_numpy() for name in names])
            self._probabilities.add(true[chosen], matrix)

    def miss(self, true: np.ndarray) -> None:
        """Labelled rows without an answer."""
        self._labels.miss(true)
        if self._probabilities:
            self._probabilities.miss(true)

    def figures(self) -> Figures:
        return {**self._labels.figures(), **(self._probabilities.figures() if self._probabilities else {})}


class _Counts:
    """A version alone: rows without an answer are counted, and are in no figure."""

    def __init__(self, figures: _Classes | _Numbers) -> None:
        self._figures = figures
        self.seen = self._rows = self._failed = 0

    def add(self, answers: pa.Table, labels: pa.ChunkedArray) -> np.ndarray:
        """More rows; which of them have a label."""
        true, labelled = self._figures.truth(labels, self.seen)
        chosen = labelled & _answered(answers)
        self._figures.add(true, answers, chosen)
        self.seen += len(labelled)
        self._rows += int(labelled.sum())
        self._failed += int(labelled.sum() - chosen.sum())
        return labelled

    def measured(self, file: Path) -> Measured:
        if not self._rows:
            raise ModelError("bad_holdout", f"The holdout {file.name} has no row with a label.")
        return Measured(self._rows, self.seen - self._rows, self._failed, self._figures.figures())


class _Contest:
    """A version and a rival on the same rows."""

    def __init__(self, ours: _Classes | _Numbers, theirs: _Classes | _Numbers) -> None:
        self._sides = ours, theirs
        self._common = self._rival_failed = 0

    def add(
        self,
        answers: tuple[pa.Table, pa.Table],
        labels: pa.ChunkedArray,
        labelled: np.ndarray,
        first_row: int,
    ) -> None:
        """Answers of both to rows of which those that are ``labelled`` count."""
        good = [labelled & _answered(table) for table in answers]
        self._common += int((good[0] & good[1]).sum())
        self._rival_failed += int((labelled & ~good[1]).sum())
        for side, table, chosen in zip(self._sides, answers, good, strict=True):
            true, _ = side.truth(labels, first_row)
            if isinstance(side, _Classes):
                side.add(true, table, chosen)
                side.miss(true[labelled & ~chosen])
            else:
                side.add(true, table, good[0] & good[1])

    def result(self, rival: str, measured: Measured) -> Contest:
        """Figures by which both are judged, and how they were counted if any row had no answer."""
        ours, theirs = (side.figures() for side in self._sides)
        terms = ""
        if self._common < measured.rows:
            classes = isinstance(self._sides[0], _Classes)
            only = f" on the {self._common:,} rows that both answer"
            terms = ", rows without an answer counted as wrong" if classes else only
        return Contest(
            figures={**ours, FAILED: measured.figures[FAILED]},
            rival=Rival(version=rival, metrics={**theirs, FAILED: self._rival_failed / measured.rows}),
            terms=terms,
        )

"""What is counted for one target: agreement, scores, and how right both models are where labels are known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowmill.client.comparison.agreement import Agreement
from rowmill.client.comparison.answers import Answers, Target
from rowmill.client.comparison.document import ComparedTarget
from rowmill.client.comparison.labels import Alphabet, Writing
from rowmill.client.comparison.metrics import LabelMetrics, NumberMetrics, ProbabilityMetrics
from rowmill.client.comparison.scores import Scores, numbers_of, score_columns, score_name, score_of
from rowmill.client.comparison.truth import TrueLabels, TrueNumbers


def tally(target: Target, label: str | None, writing: Writing) -> ClassTally | NumberTally:
    """Where the rows of one target are counted; `label` is the column of the true ones."""
    return (ClassTally if target.is_classes else NumberTally)(target, label, writing)


class NumberTally:
    """One target of two regressors."""

    def __init__(self, target: Target, label: str | None, writing: Writing) -> None:
        self._target = target
        self._truth = None if label is None else TrueNumbers(label, writing)
        self._scores = Scores(target.first.prediction)
        self._metrics = NumberMetrics(), NumberMetrics()
        self._labelled = 0

    def add(self, first: pa.RecordBatch, second: pa.RecordBatch) -> None:
        ours, theirs = (numbers_of(batch.column(self._target.first.prediction)) for batch in (first, second))
        self._scores.add(ours, theirs)
        if self._truth is None:
            return
        true = self._truth.of(first)
        usable = np.isfinite(true) & np.isfinite(ours) & np.isfinite(theirs)
        self._labelled += int(usable.sum())
        for metrics, predicted in zip(self._metrics, (ours, theirs), strict=True):
            metrics.add(true[usable], predicted[usable])

    def report(self) -> ComparedTarget:
        metrics = None
        if self._truth is not None:
            self._truth.check()
            ours, theirs = (metrics.report() for metrics in self._metrics)
            metrics = {"rows": self._labelled, "first": ours, "second": theirs}
        return {
            "name": self._target.name,
            "agreement": None,
            "agreed": None,
            "flipped": None,
            "flips": None,
            "kinds_of_flips": None,
            "scores": self._scores.report(),
            "metrics": metrics,
        }


class ClassTally:
    """One target of two classifiers."""

    def __init__(self, target: Target, label: str | None, writing: Writing) -> None:
        self._target = target
        self._alphabet = Alphabet.of(target)
        self._agreement = Agreement()
        name = score_name(target)
        self._scores = None if name is None else Scores(name)
        self._sides = [_Side(answers, self._alphabet) for answers in (target.first, target.second)]
        classes = pa.chunked_array([side.classes for side in self._sides]).unique()
        self._truth = None if label is None else TrueLabels(label, self._alphabet, classes, writing)
        self._labelled = 0

    def add(self, first: pa.RecordBatch, second: pa.RecordBatch) -> None:
        batches = first, second
        predicted = [side.predicted(batch) for side, batch in zip(self._sides, batches, strict=True)]
        self._agreement.add(*predicted)
        if self._scores is not None:
            self._scores.add(
                *(
                    score_of(batch, score_columns(side.answers, self._scores.name))
                    for side, batch in zip(self._sides, batches, strict=True)
                )
            )
        if self._truth is not None:
            true = self._truth.of(first)
            is_known = pc.is_valid(true)
            self._labelled += is_known.true_count
            for side, batch in zip(self._sides, batches, strict=True):
                side.judge(true.filter(is_known), batch.filter(is_known))

    def report(self) -> ComparedTarget:
        metrics = None
        if self._truth is not None:
            self._truth.check()
            ours, theirs = (side.report() for side in self._sides)
            metrics = {"rows": self._labelled, "first": ours, "second": theirs}
        return {
            "name": self._target.name,
            **self._agreement.report(),
            "scores": None if self._scores is None else self._scores.report(),
            "metrics": metrics,
        }


class _Side:
    """One model's answers to one target, and how right they are."""

    def __init__(self, answers: Answers, alphabet: Alphabet) -> None:
        self.answers = answers
        self.classes = alphabet.classes(answers.classes or ())
        self._alphabet = alphabet
        self._labels = LabelMetrics()
        self._probabilities = ProbabilityMetrics(self.classes) if answers.probabilities else None

    def predicted(self, batch: pa.RecordBatch) -> pa.Array:
        return self._alphabet.predicted(batch.column(self.answers.prediction))

    def judge(self, true: pa.Array, batch: pa.RecordBatch) -> None:
        self._labels.add(true, self.predicted(batch))
        if self._probabilities is not None:
            matrix = np.column_stack([numbers_of(batch.column(name)) for name in self.answers.probabilities])
            whole = ~np.isnan(matrix).any(axis=1)
            self._probabilities.add(true.filter(pa.array(whole)), matrix[whole])

    def report(self) -> dict[str, float | None]:
        return self._labels.report() | (self._probabilities.report() if self._probabilities else {})

"""The short way for one row that is plainly fine; whatever is unusual about a row takes the thorough way.

This decides nothing: it accepts a row only where ``single`` would accept it as it stands and has nothing to
remark, and says None otherwise. So the rules, their codes and their messages stand in one place, and a row
like those of training costs microseconds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from models.manifest import SKLEARN, ColumnSpec, Label, Manifest, ScorerRecord, Signature, label_text
from models.rules import FLOAT32_OVERFLOW, INEXACT_INTEGER
from models.scorers.part import Unsure
from models.scorers.scorer import Scorer

_ROWS = frozenset({dict, list})
_KINDS = {"number": frozenset({float, int}), "boolean": frozenset({bool}), "string": frozenset({str})}


class PlainRows:
    """Answers plain rows of one loaded version, in any number of threads."""

    def __init__(self, manifest: Manifest, scorer: Scorer | None) -> None:
        """Without a scorer every row is left to the thorough way."""
        is_table = manifest.signature.kind == "table"
        self._scorer = scorer if is_table else None
        self._names = manifest.signature.names
        self._accepted = [_accepted(spec, manifest.signature) for spec in manifest.signature.columns]
        record = manifest.scorer or ScorerRecord()
        self._near_tie = None if record.labels_from_ties else record.near_tie
        self._classes = manifest.targets[0].classes
        self._tells_probabilities = manifest.has_probabilities
        self.scorer_name = scorer.core.kind if scorer else SKLEARN
        self.class_names = [label_text(label) for label in self._classes or ()]

    def answer(self, row: Any) -> tuple[Label, list[float]] | None:
        """Label or number, and the probabilities of the classes if there are any; None if it is not plain."""
        if self._scorer is None or (values := self._values(row)) is None:
            return None
        try:
            answered = self._scorer.answer_one(values).tolist()
        except Unsure:
            return None
        if not math.isfinite(sum(answered)):
            return None  # no number of JSON
        if self._classes is None:
            return answered[0], []
        best = max(answered)
        if self._near_tie is not None:
            limit = self._near_tie * max(1.0, abs(best))
            if sum(best - value <= limit for value in answered) > 1:
                return None
        label = self._classes[answered.index(best)]
        return label, answered if self._tells_probabilities else []

    def _values(self, row: Any) -> list[Any] | None:
        if type(row) not in _ROWS or len(row) != len(self._names):
            return None
        try:
            values = [row[name] for name in self._names] if type(row) is dict else row
        except KeyError:
            return None
        for value, (ranged, low, high, listed, known) in zip(values, self._accepted, strict=True):
            kind = type(value)
            if kind in ranged:
                if not low < value < high:
                    return None
            elif kind not in listed or value not in known:
                return None
        return values


class _Accepted(NamedTuple):
    """Values that need no second look: of the first types in an open range, of the others if ``known``."""

    ranged: frozenset[type]
    low: float
    high: float
    listed: frozenset[type]
    known: frozenset[Any]


def _accepted(spec: ColumnSpec, signature: Signature) -> _Accepted:
    kinds, nothing = _KINDS[spec.kind], frozenset({type(None)} if spec.accepts_null else ())
    missing = frozenset({None} if spec.accepts_null else ())
    if spec.categories:
        return _Accepted(frozenset(), 0, 0, kinds | nothing, missing | frozenset(spec.categories))
    if spec.kind == "string":
        return _Accepted(frozenset(), 0, 0, nothing, missing)
    if spec.kind == "boolean":
        return _Accepted(kinds, -1, 2, nothing, missing)
    limit = min(float(INEXACT_INTEGER), FLOAT32_OVERFLOW if signature.dtype == "float32" else float("inf"))
    low, high = spec.usual
    low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    return _Accepted(kinds, max(-limit, low), min(limit, high), nothing, missing)

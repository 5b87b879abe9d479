"""Whether a version gets a compiled scorer: compiled, compared, timed and stored, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from base.files import sha256_of
from models.estimators import predicts_by_argmax
from models.manifest import Manifest, ScorerRecord, StoredFile
from models.scorers import store
from models.scorers.compiling import compile_scorer
from models.scorers.part import NotCompiled
from models.scorers.scorer import Scorer
from models.scorers.timing import speed_up
from models.scorers.verifier import compare

SLOWER = "on batches it was slower than scikit-learn, which scores these"


def trial(
    estimator: Any,
    manifest: Manifest,
    rows: pa.Table | np.ndarray,
    folder: Path,
    *,
    compiled: bool,
    tolerance: float | None,
) -> tuple[ScorerRecord, Scorer | None]:
    """What to score with, and its record; the files of a scorer are written into ``folder``.

    ``rows`` are what the estimator was tried on; ``tolerance`` is as for :func:`verifier.compare`.
    """
    if not compiled:
        return ScorerRecord(reason="asked for"), None
    try:
        _check_answers(manifest)
        scorer, last = compile_scorer(estimator, manifest.signature)
        found = compare(scorer, last, estimator, manifest, rows, tolerance=tolerance)
    except NotCompiled as reason:
        return ScorerRecord(reason=str(reason)), None
    faster = speed_up(scorer, estimator, manifest, rows)
    scores_batches = faster.batch is not None and faster.batch >= 1
    if not scores_batches and (faster.one_row is None or faster.one_row < 1):
        return ScorerRecord(reason="it is not faster than scikit-learn"), None
    files = [_stored(folder / name) for name in store.save(scorer, folder)]
    record = ScorerRecord(
        kind=scorer.core.kind,
        reason=None if scores_batches else SLOWER,
        scores_batches=scores_batches,
        labels_from_ties=predicts_by_argmax(last),
        largest_difference=found.largest_difference,
        rows_compared=found.rows,
        speedup_one_row=faster.one_row,
        speedup_batch=faster.batch,
        files=tuple(files),
    )
    return record, scorer


def _check_answers(manifest: Manifest) -> None:
    """Raises NotCompiled where a core's numbers are not all that an answer consists of."""
    if manifest.code is not None:
        raise NotCompiled("the model comes with code of its own")
    if len(manifest.targets) != 1:
        raise NotCompiled("the model has several outputs")
    if manifest.targets[0].classes is None:
        if manifest.task != "regression":
            raise NotCompiled(f"there is no compiled form for {manifest.task.replace('_', ' ')}")
    elif not manifest.has_probabilities:
        raise NotCompiled("the classifier gives no probabilities")
    elif not manifest.labels_from_probabilities:
        raise NotCompiled("the labels do not follow from the probabilities")


def _stored(path: Path) -> StoredFile:
    return StoredFile(file=path.name, sha256=sha256_of(path), bytes=path.stat().st_size, source=path.name)

"""Whether a version gets a compiled scorer: compiled, compared, timed and stored, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from base.files import sha256_of
from models.manifest import Manifest, ScorerRecord, StoredFile
from models.outputs import NEAR_TIE
from models.scorers import store
from models.scorers.compiling import compile_scorer
from models.scorers.part import NotCompiled
from models.scorers.scorer import Scorer
from models.scorers.timing import speed_up
from models.scorers.verifier import compare, near_tie_for, tolerance_for

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

    ``rows`` are what the estimator was tried on; ``tolerance`` is as for :func:`verifier.tolerance_for`.
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
    near_tie = near_tie_for(last, tolerance_for(last, tolerance))
    record = ScorerRecord(
        kind=scorer.core.kind,
        reason=None if scores_batches else SLOWER,
        scores_batches=scores_batches,
        labels_from_ties=near_tie is None,
        near_tie=NEAR_TIE if near_tie is None else near_tie,
        largest_difference=found.largest_difference,
        rows_compared=found.rows,
        splits=found.splits,
        splits_compared=found.splits_compared,
        splits_in_whole=found.splits_in_whole,
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
    elif manifest.has_probabilities and not manifest.labels_from_probabilities:
        raise NotCompiled("the labels do not follow from the probabilities")


def _stored(path: Path) -> StoredFile:
    return StoredFile(file=path.name, sha256=sha256_of(path), bytes=path.stat().st_size, source=path.name)

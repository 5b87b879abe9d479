"""From a stored version to a model that scores: digest first, then unpickling, then one call.

The only place that unpickles. Models are loaded by the process that scores with them, after any fork: OpenMP
does not survive a fork once it has run.
"""

from __future__ import annotations

import hashlib
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from models import skops_files
from models.errors import ArtefactRefused
from models.estimators import run_on_one_thread
from models.inputs import estimator_input
from models.manifest import Manifest, StoredFile
from models.outputs import answers
from models.pickles import explain
from models.plain_rows import PlainRows
from models.user_code import Bundle


class LoadedModel:
    """One version in memory. Safe to use from several threads at once."""

    def __init__(self, manifest: Manifest, estimator: Any, bundle: Bundle | None = None) -> None:
        self.manifest = manifest
        self.estimator = estimator
        self._bundle = bundle

    def score(self, rows: pa.Table | np.ndarray, confidence: bool = False) -> pa.Table:
        """Answers under ``output_schema(manifest, confidence)``, one row per row of ``rows``, in order.

        ``rows`` is a table with the signature's columns (number: float64, string, boolean; nulls allowed), or
        for an image model what ``images.model_rows`` gives. Raises whatever the estimator raises.
        """
        with self._code():
            data = estimator_input(rows, self.manifest.signature) if isinstance(rows, pa.Table) else rows
            return answers(self.estimator, data, self.manifest, confidence)

    @cached_property
    def plain_rows(self) -> PlainRows:
        """The short way for single rows; made when it is first asked for, because workers never do."""
        return PlainRows(self.manifest, self.estimator)

    def _code(self) -> AbstractContextManager[None]:
        return self._bundle.mounted() if self._bundle else nullcontext()


def load(manifest: Manifest, folder: Path) -> LoadedModel:
    """The version whose files lie in ``folder``; nothing is unpickled unless its digest is the recorded one.

    Raises ArtefactRefused: ``digest_mismatch``, ``artefact_missing``, or what makes the pickle unusable here.
    """
    bundle = Bundle(folder, manifest.code) if manifest.code else None
    with bundle.mounted() if bundle else nullcontext():
        estimator = read_estimator(folder, manifest.artefact, manifest.preprocessor, bundle)
    return LoadedModel(manifest, estimator, bundle)


def read_estimator(
    folder: Path, artefact: StoredFile, preprocessor: StoredFile | None, bundle: Bundle | None
) -> Any:
    """Unpickle, chain preprocessor and estimator, and make them run on one thread."""
    estimator = _unpickle(folder, artefact, bundle)
    if preprocessor is not None:
        first = _unpickle(folder, preprocessor, bundle)
        estimator = Pipeline([("preprocessor", first), ("model", estimator)])
    run_on_one_thread(estimator)
    return estimator


def _unpickle(folder: Path, stored: StoredFile, bundle: Bundle | None) -> Any:
    path = folder / stored.file
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ArtefactRefused(
            "artefact_missing", f"{path} cannot be read ({error.strerror}); add the model again."
        ) from error
    with stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != stored.sha256:
            raise ArtefactRefused(
                "digest_mismatch",
                f"{path} has digest {found}, but {stored.sha256} was added: it was changed after that and "
                "will not be loaded. Restore the file or add the model again.",
            )
        stream.seek(0)
        # process-wide: filters cannot be set per thread; column names are checked against the signature
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.filterwarnings("error", category=InconsistentVersionWarning)
        try:
            if stored.file.endswith(skops_files.ENDING):
                return skops_files.load(stream, path, stored, bundle.modules if bundle else ())
            return joblib.load(stream)
        # unpickling runs any code and fails in any way; each is told apart and raised again as one kind
        except Exception as error:
            raise explain(path, stored.source, bundle.modules if bundle else (), error) from error

"""From a stored version to a model that scores: digests first, then a compiled scorer or unpickling.

The only place that unpickles, and with a compiled scorer it is not done before it must be. Models are loaded
by the process that scores with them, after any fork: OpenMP does not survive a fork once it has run.
"""

from __future__ import annotations

import errno
import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import joblib
import numpy as np
import pyarrow as pa
import structlog
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from models import skops_files
from models.errors import ArtefactRefused
from models.estimators import run_on_one_thread
from models.inputs import estimator_input
from models.manifest import SKLEARN, Manifest, StoredFile
from models.outputs import answers, predicted_positions
from models.pickles import check_version, explain
from models.plain_rows import PlainRows
from models.scorers import store
from models.scorers.answering import Compiled
from models.scorers.compiling import KINDS
from models.scorers.part import NotCompiled, Unsure
from models.scorers.scorer import Scorer
from models.user_code import Bundle

# What an error says that is about the machine at this moment, not about the file.
PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)

log = structlog.get_logger()


class Scored(NamedTuple):
    """Answers, and what gave them: the kind of a compiled scorer, or ``sklearn``."""

    table: pa.Table
    scorer: str


class LoadedModel:
    """One version in memory. Safe to use from several threads at once.

    With a compiled scorer the estimator is unpickled when it is first needed, if ever: for rows that the
    scorer leaves to it, or to be looked at.
    """

    def __init__(
        self,
        manifest: Manifest,
        read: Callable[[], Any],
        *,
        scorer: Scorer | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        """``read`` gives the estimator, and is called once at most."""
        self.manifest = manifest
        self.scorer = scorer
        # told before the estimator is read, so that a cache can make room for it
        self.before_reading: Callable[[], None] = lambda: None
        self._read = read
        self._bundle = bundle
        self._turn = threading.Lock()
        self._estimator: Any = None
        record = manifest.scorer
        self._compiled = Compiled(manifest, record, scorer, self._settled) if record and scorer else None

    @property
    def estimator(self) -> Any:
        """The fitted estimator. Raises ArtefactRefused if its files are not the ones that were added."""
        with self._turn:
            if self._estimator is None:
                self.before_reading()
                self._estimator = self._read()
            return self._estimator

    @property
    def has_estimator(self) -> bool:
        """Whether the estimator is in memory."""
        return self._estimator is not None

    def score(self, rows: pa.Table | np.ndarray, confidence: bool = False) -> pa.Table:
        """Answers under ``output_schema(manifest, confidence)``, one row per row of ``rows``, in order.

        ``rows`` is a table with the signature's columns (number: float64, string, boolean; nulls allowed), or
        for an image model what ``images.model_rows`` gives. Raises whatever the estimator raises.
        """
        return self.scored(rows, confidence).table

    def scored(self, rows: pa.Table | np.ndarray, confidence: bool = False) -> Scored:
        """The same, with what scored it."""
        if self._compiled is not None and self._compiled.scores_batches:
            try:
                return Scored(self._compiled.score(rows, confidence), self.manifest.scored_by)
            except Unsure:
                pass  # the estimator decides
        estimator = self.estimator
        with self._code():
            return Scored(answers(estimator, self._data(rows), self.manifest, confidence), SKLEARN)

    @cached_property
    def plain_rows(self) -> PlainRows:
        """The short way for single rows; made when it is first asked for, because workers never do."""
        return PlainRows(self.manifest, self.scorer)

    def _settled(self, rows: pa.Table | np.ndarray) -> np.ndarray:
        return predicted_positions(self.estimator, self._data(rows), self.manifest)

    def _data(self, rows: pa.Table | np.ndarray) -> Any:
        return estimator_input(rows, self.manifest.signature) if isinstance(rows, pa.Table) else rows

    def _code(self) -> AbstractContextManager[None]:
        return self._bundle.mounted() if self._bundle else nullcontext()


def load(manifest: Manifest, folder: Path) -> LoadedModel:
    """The version whose files lie in ``folder``; nothing is used unless its digest is the recorded one.

    Raises ArtefactRefused: ``digest_mismatch``, ``artefact_missing``, or what makes the files unusable here;
    MemoryError or OSError where that is for the moment only.
    """
    scorer = _read_scorer(manifest, folder)
    bundle = Bundle(folder, manifest.code) if manifest.code else None

    def read() -> Any:
        with bundle.mounted() if bundle else nullcontext():
            return read_estimator(folder, manifest.artefact, manifest.preprocessor, bundle)

    model = LoadedModel(manifest, read, scorer=scorer, bundle=bundle)
    if scorer is None:
        _ = model.estimator  # what is wrong with it is told now
    return model


def _read_scorer(manifest: Manifest, folder: Path) -> Scorer | None:
    """The version's compiled scorer, mapped; None if it has none, or none that works on this machine."""
    record = manifest.scorer
    if record is None or record.kind is None:
        return None
    # what the scorer leaves to the estimator must not be answered by another scikit-learn
    check_version(manifest.libraries.get("scikit-learn", ""), manifest.artefact.source)
    for stored in record.files:
        with _verified(folder, stored):
            pass
    try:
        scorer: Scorer = store.read(folder, KINDS)
    except NotCompiled as reason:
        log.warning("compiled scorer not used", model=manifest.reference, reason=str(reason))
        return None
    return scorer


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
    with _verified(folder, stored) as stream:
        # process-wide: filters cannot be set per thread; column names are checked against the signature
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.filterwarnings("error", category=InconsistentVersionWarning)
        path, modules = folder / stored.file, bundle.modules if bundle else ()
        try:
            if stored.file.endswith(skops_files.ENDING):
                return skops_files.load(stream, path, stored, modules)
            return joblib.load(stream)
        # unpickling runs any code and fails in any way; each is told apart and raised again as one kind
        except Exception as error:
            if _may_pass(error):
                raise
            raise explain(path, stored.source, modules, error) from error


def _may_pass(error: Exception) -> bool:
    """Whether the machine is short of something or its disk away, so that another try may go well."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in PASSING)


@contextmanager
def _verified(folder: Path, stored: StoredFile) -> Iterator[IO[bytes]]:
    """The file, open at its start, if it is the one that was added."""
    path = folder / stored.file
    try:
        stream = path.open("rb")
    except OSError as error:
        if _may_pass(error):
            raise
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
        yield stream

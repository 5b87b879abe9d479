"""Where a model's file may come from: this machine, or an MLflow server that is asked for it and for its run.

Needs the extra ``rowmill[mlflow]`` for the second; which server, MLflow's own variables say.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.errors import ArtefactRefused
from models.manifest import MlflowOrigin
from models.mlflow import folder

ADDRESSES = ("models:/", "runs:/")
# Parameters may be whole configurations; what is longer is for MLflow to show.
MAX_CHARACTERS = 500


@dataclass(frozen=True)
class Source:
    """A model's file or folder; ``warning`` says why its run's parameters and metrics are not known."""

    path: Path
    origin: MlflowOrigin | None = None
    warning: str | None = None


@contextmanager
def opened(file: str) -> Iterator[Source]:
    """``file`` on this machine: a path, or `models:/wine/3`, `models:/wine@champion`, `runs:/<id>/model`.

    What was fetched is removed after the block. Raises ArtefactRefused: ``module_not_installed``,
    ``mlflow_not_set``, ``mlflow_failed``.
    """
    if not file.startswith(ADDRESSES):
        path = Path(file).expanduser()
        yield _here(path) if folder.is_logged_model(path) else Source(path)
        return
    with tempfile.TemporaryDirectory(prefix="rowmill-mlflow-") as place:
        yield _fetched(file, place)


def _fetched(address: str, place: str) -> Source:
    mlflow = _mlflow()
    if mlflow is None:
        raise ArtefactRefused(
            "module_not_installed",
            f"{address} needs MLflow: run `pip install 'rowmill[mlflow]'` in Rowmill's environment, or give "
            "the folder of the logged model, which needs no MLflow.",
        )
    if not mlflow.is_tracking_uri_set():
        raise ArtefactRefused(
            "mlflow_not_set", f"Set MLFLOW_TRACKING_URI to the address of the server that has {address}."
        )
    try:
        path = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=place))
    except (mlflow.MlflowException, OSError) as error:
        raise ArtefactRefused("mlflow_failed", f"MLflow does not give {address}: {error}") from error
    run_id = folder.run_id(path)
    without_run = Source(path, MlflowOrigin(address=address))
    return without_run if run_id is None else _with_run(mlflow, run_id, without_run)


def _here(path: Path) -> Source:
    """A folder of this machine, and what its run tells if there is a server to ask."""
    run_id = folder.run_id(path)
    mlflow = _mlflow() if run_id else None
    if mlflow is None or run_id is None or not mlflow.is_tracking_uri_set():
        return Source(path)
    return _with_run(mlflow, run_id, Source(path))


def _with_run(mlflow: Any, run_id: str, source: Source) -> Source:
    """With what the run tells; it may be gone (`mlflow gc`), or the server away, and the model is there."""
    try:
        origin = _origin(mlflow, run_id, source.origin.address if source.origin else None)
    except (mlflow.MlflowException, OSError) as error:
        return replace(source, warning=f"parameters and metrics of run {run_id} are not known: {error}")
    return replace(source, origin=origin)


def _origin(mlflow: Any, run_id: str, address: str | None) -> MlflowOrigin:
    data = mlflow.MlflowClient().get_run(run_id).data
    return MlflowOrigin(
        address=address,
        parameters={name: value[:MAX_CHARACTERS] for name, value in data.params.items()},
        metrics={name: value if math.isfinite(value) else None for name, value in data.metrics.items()},
    )


def _mlflow() -> Any:
    """The library, None if it is not installed."""
    if find_spec("mlflow") is None:
        return None
    import mlflow  # noqa: PLC0415 - an extra, and slow

    return mlflow

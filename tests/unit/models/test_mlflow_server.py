"""A model that an MLflow server gives is added even if its run is gone; `tests/e2e` asks MLflow itself."""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from sklearn.linear_model import LinearRegression

from models.mlflow.server import opened
from tests.unit.models.test_mlflow_folder import DOUBLES, KIND, RUN, WINE, logged


class MlflowException(Exception):
    """As MLflow names it."""


class Purged:
    """A client of a server that ran `mlflow gc`: models are there, and their runs are not."""

    def get_run(self, run_id: str) -> None:
        raise MlflowException(f"Run with id={run_id} not found")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the server gives for every address."""
    folder = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), DOUBLES)

    def download(artifact_uri: str, dst_path: str) -> str:
        assert artifact_uri.startswith(("models:/", "runs:/"))
        return str(shutil.copytree(folder, Path(dst_path) / "model"))

    mlflow = ModuleType("mlflow")
    mlflow.__spec__ = ModuleSpec("mlflow", None)
    mlflow.__dict__.update(
        artifacts=SimpleNamespace(download_artifacts=download),
        is_tracking_uri_set=lambda: True,
        MlflowClient=Purged,
        MlflowException=MlflowException,
    )
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    return folder


@pytest.mark.parametrize("address", ["models:/wine/3", f"runs:/{RUN}/model", ""])
def test_a_run_that_is_gone_takes_no_model_with_it(folder: Path, address: str) -> None:
    with opened(address or str(folder)) as source:
        assert (source.path / "MLmodel").exists()
        assert (
            source.warning
            == f"parameters and metrics of run {RUN} are not known: Run with id={RUN} not found"
        )
        assert (source.origin.address if source.origin else "") == address

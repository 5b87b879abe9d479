"""Models that MLflow itself logged and registered become versions, with what their run was told."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from rowmill.cli.models_commands import app
from tests.conftest import EXAMPLES

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

WINE, KIND = load_wine(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The library, on a tracking database of its own."""
    folder = tmp_path_factory.mktemp("tracking")
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        import mlflow  # noqa: PLC0415 - it warns when it is imported
        import mlflow.sklearn  # noqa: PLC0415

        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.set_experiment(experiment_id=mlflow.create_experiment("tests", folder.as_uri()))
        yield mlflow


@pytest.fixture(scope="module")
def run_id(mlflow: Any) -> str:
    """A run that logged a linear model, registered it as `wine`, and made it the champion."""
    estimator = LogisticRegression(max_iter=10_000).fit(WINE, KIND)
    with mlflow.start_run() as run:
        mlflow.log_params({"max_iter": 10_000, "long": "x" * 600})
        mlflow.log_metrics({"accuracy": 0.9, "loss": float("nan")})
        mlflow.sklearn.log_model(
            estimator, name="model", registered_model_name="wine", input_example=WINE.head(3)
        )
    mlflow.MlflowClient().set_registered_model_alias("wine", "champion", 1)
    found: str = run.info.run_id
    return found


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ROWMILL_DATABASE_URL", raising=False)


def added(*arguments: object) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, ["add", "wine", *map(str, arguments), "--json"])


@pytest.mark.parametrize("address", ["models:/wine/1", "models:/wine@champion", "runs:/{}/model"])
def test_addresses(run_id: str, address: str) -> None:
    address = address.format(run_id)
    result = added(address)
    assert result.exit_code == 0, result.stderr
    manifest = json.loads(result.stdout)
    assert [column["name"] for column in manifest["signature"]["columns"]] == list(WINE.columns)
    origin = manifest["mlflow"]
    assert (origin["address"], origin["run_id"]) == (address, run_id)
    assert origin["parameters"] == {"max_iter": "10000", "long": "x" * 500}
    assert origin["metrics"] == {"accuracy": 0.9, "loss": None}
    if address.startswith("models:"):
        assert origin["registered"] == "wine/1"
    assert json.loads(CliRunner().invoke(app, ["show", "wine", "--json"]).stdout)["mlflow"] == origin


def test_a_folder_tells_its_run_where_that_can_be_asked(mlflow: Any, run_id: str, tmp_path: Path) -> None:
    path = mlflow.artifacts.download_artifacts(artifact_uri="models:/wine/1", dst_path=str(tmp_path / "a"))
    manifest = json.loads(added(path).stdout)
    assert manifest["mlflow"]["metrics"]["accuracy"] == 0.9
    described = Path(path, "MLmodel")
    described.write_text(described.read_text().replace(run_id, "f" * 32))
    result = added(path)
    assert result.exit_code == 0
    assert f"parameters and metrics of run {'f' * 32} are not known" in result.stderr


@pytest.mark.parametrize("how", ["pickle", "cloudpickle", "skops"])
def test_every_way_to_save(mlflow: Any, tmp_path: Path, how: str) -> None:
    estimator = RandomForestClassifier(3, max_depth=2).fit(WINE.to_numpy(), KIND)
    trusted = ["sklearn.tree._tree.Tree"]
    mlflow.sklearn.save_model(
        estimator,
        str(tmp_path / "saved"),
        serialization_format=how,
        input_example=WINE.head(3).to_numpy(),
        **({"skops_trusted_types": trusted} if how == "skops" else {}),
    )
    options = ["--trust", trusted[0]] if how == "skops" else []
    result = added(tmp_path / "saved", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["signature"]["columns"][12]["name"] == "x12"


@pytest.mark.parametrize("address", ["models:/wine/9", "models:/none@champion", "runs:/none/model"])
def test_what_the_server_does_not_have(run_id: str, address: str) -> None:
    result = added(address)
    assert result.exit_code == 1
    assert f"MLflow does not give {address}" in result.stderr


def test_an_example_script_logs_its_run_and_adds_it_from_there(mlflow: Any, tmp_path: Path) -> None:
    script = (sys.executable, EXAMPLES / "train_diabetes.py", tmp_path, "--add", "--alias", "production")
    # MLflow keeps artefacts of a new experiment where the script runs
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "diabetes@1"
    shown = CliRunner().invoke(app, ["show", "diabetes@production", "--json"]).stdout
    origin = json.loads(shown)["mlflow"]
    assert f"logged as run {origin['run_id']}" in done.stdout
    assert origin["parameters"]["learning_rate"] == "0.05"
    assert f"R2 {origin['metrics']['R2']:.3f}" in done.stdout


def test_a_server_that_is_not_named(monkeypatch: pytest.MonkeyPatch, mlflow: Any) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    result = added("models:/wine/1")
    assert "Set MLFLOW_TRACKING_URI" in result.stderr

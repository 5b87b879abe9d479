"""The folder of a logged model becomes a version, with the columns that were declared; MLflow is not there.

The files are as MLflow 3 writes them; `tests/e2e/clients/test_mlflow_models.py` asks MLflow itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import sklearn
import skops.io
import yaml
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from typer.testing import CliRunner

from models.errors import ArtefactRefused
from models.loading import LoadedModel
from rowmill.cli.models_commands import app
from tests.unit.models.making import added_file, saved_csv, table_of

WINE, KIND = load_wine(return_X_y=True, as_frame=True)
WINE = WINE[["alcohol", "ash", "proline"]]
RUN = "3a3a1c5cf4a94a2f8f1e8bd8e2b1f0aa"
DOUBLES = [{"type": "double", "name": name, "required": True} for name in WINE.columns]


def logged(
    folder: Path,
    estimator: Any,
    inputs: Sequence[Any] | None = None,
    example: Any = None,
    **flavour: Any,
) -> Path:
    """A folder as `mlflow.sklearn.log_model` makes it."""
    folder.mkdir()
    how = flavour.get("serialization_format", "cloudpickle")
    name = "model.skops" if how == "skops" else "model.pkl"
    if how == "skops":
        skops.io.dump(estimator, folder / name)
    else:
        (folder / name).write_bytes(cloudpickle.dumps(estimator))
    about = {"code": None, "pickled_model": name, "serialization_format": how}
    described: dict[str, Any] = {
        "flavors": {
            "python_function": {"loader_module": "mlflow.sklearn", "model_path": name, "code": None},
            "sklearn": {**about, "sklearn_version": sklearn.__version__, **flavour},
        },
        "mlflow_version": "3.17.2",
        "model_uuid": "dc46cbb9f6b34c0391e3ad33b9d8952a",
        "run_id": RUN,
    }
    if inputs is not None:
        described["signature"] = {"inputs": json.dumps(inputs), "outputs": None, "params": None}
    if example is not None:
        kind = "dataframe" if isinstance(example, dict) else "ndarray"
        (folder / "input_example.json").write_text(json.dumps(example))
        described["saved_input_example_info"] = {"artifact_path": "input_example.json", "type": kind}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    return folder


def changed(folder: Path, **parts: Any) -> Path:
    """The folder with other parts of its description."""
    described = yaml.safe_load((folder / "MLmodel").read_text())
    (folder / "MLmodel").write_text(yaml.safe_dump({**described, **parts}))
    return folder


def split(frame: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(frame.columns), "data": frame.astype(object).to_numpy().tolist()}


def added(folder: Path, file: Path, **options: Any) -> LoadedModel:
    return added_file(folder, file, **options)


def refusal(folder: Path, file: Path, **options: Any) -> ArtefactRefused:
    with pytest.raises(ArtefactRefused) as refused:
        added_file(folder, file, **options)
    return refused.value


@pytest.mark.parametrize("how", ["pickle", "cloudpickle", "skops"])
def test_a_logged_model_answers_as_its_estimator(tmp_path: Path, how: str) -> None:
    estimator = LogisticRegression(max_iter=10_000).fit(WINE, KIND)
    file = logged(tmp_path / "logged", estimator, DOUBLES, split(WINE.head(3)), serialization_format=how)
    model = added(tmp_path, file)
    manifest = model.manifest
    assert manifest.signature.names == tuple(WINE.columns)
    assert model.score(table_of(WINE))["prediction"].to_pylist() == estimator.predict(WINE).tolist()
    assert manifest.mlflow is not None
    assert (manifest.mlflow.run_id, manifest.mlflow.mlflow_version) == (RUN, "3.17.2")
    assert manifest.example == WINE.iloc[0].to_dict()


def test_an_example_of_three_rows_does_not_say_what_is_usual(tmp_path: Path) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), DOUBLES, split(WINE.head(3)))
    assert [spec.minimum for spec in added(tmp_path, file).manifest.signature.columns] == [None] * 3
    (tmp_path / "again").mkdir()
    sample = saved_csv(tmp_path, WINE)
    model = added(tmp_path / "again", file, sample=sample)
    assert model.manifest.signature.columns[0].minimum == WINE["alcohol"].min()


def test_declared_columns_name_the_inputs_of_a_model_fitted_on_arrays(tmp_path: Path) -> None:
    estimator = LinearRegression().fit(WINE.to_numpy(), KIND)
    model = added(tmp_path, logged(tmp_path / "logged", estimator, DOUBLES))
    assert model.manifest.signature.names == tuple(WINE.columns)
    assert not model.manifest.signature.named


@pytest.mark.parametrize("with_example", [False, True])
def test_a_matrix_has_numbered_columns(tmp_path: Path, with_example: bool) -> None:
    inputs = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]
    example = WINE.head(2).to_numpy().tolist() if with_example else None
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE.to_numpy(), KIND), inputs, example)
    assert added(tmp_path, file).manifest.signature.names == ("x0", "x1", "x2")


def test_declared_types_are_those_of_the_columns(tmp_path: Path) -> None:
    """Without them a column of digits in a CSV file would be numbers, which the encoder has never seen."""
    rows = pd.DataFrame({"zip": ["01", "02", "03"] * 4, "rooms": range(12), "new": [True, False] * 6})
    inputs = [
        {"type": "string", "name": "zip", "required": True},
        {"type": "long", "name": "rooms", "required": True},
        {"type": "boolean", "name": "new", "required": True},
    ]
    encoder = FunctionTransformer(lambda frame: frame.assign(zip=frame["zip"].str.len()))
    estimator = make_pipeline(encoder, LinearRegression()).fit(rows, range(12))
    file = logged(tmp_path / "logged", estimator, inputs, split(rows.head(2)))
    dtypes = [spec.dtype for spec in added(tmp_path, file).manifest.signature.columns]
    assert dtypes == ["string", "int64", "bool"]
    (tmp_path / "again").mkdir()
    model = added(tmp_path / "again", file, sample=saved_csv(tmp_path, rows))
    assert [spec.kind for spec in model.manifest.signature.columns] == ["string", "number", "boolean"]


def test_an_encoder_knows_better_than_what_was_declared(tmp_path: Path) -> None:
    rows = pd.DataFrame({"zip": ["01", "02", "03"] * 4})
    estimator = make_pipeline(OneHotEncoder(), LinearRegression()).fit(rows, range(12))
    file = logged(tmp_path / "logged", estimator, [{"type": "string", "name": "zip", "required": True}])
    (column,) = added(tmp_path, file).manifest.signature.columns
    assert column.categories == ("01", "02", "03")


@pytest.mark.parametrize("name", ["review", None])
def test_texts(tmp_path: Path, name: str | None) -> None:
    estimator = make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good", "bad"], [1, 0])
    column = {"type": "string", "required": True} | ({"name": name} if name else {})
    model = added(tmp_path, logged(tmp_path / "logged", estimator, [column]))
    assert (model.manifest.signature.kind, model.manifest.signature.names) == ("text", (name or "text",))
    example = {"columns": [name or 0], "data": [["good"], ["bad"]]}
    (tmp_path / "again").mkdir()
    file = logged(tmp_path / "with-example", estimator, [column], example)
    assert added(tmp_path / "again", file).manifest.example == {name or "text": "good"}


def test_a_forest_in_a_file_of_skops_wants_its_types_confirmed(tmp_path: Path) -> None:
    estimator = RandomForestClassifier(3, max_depth=2).fit(WINE, KIND)
    # what MLflow recorded as trusted is the word of whoever made the folder
    file = logged(
        tmp_path / "logged",
        estimator,
        serialization_format="skops",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
    assert refusal(tmp_path, file).code == "untrusted_types"


def test_other_flavours_are_named(tmp_path: Path) -> None:
    file = changed(
        logged(tmp_path / "logged", LinearRegression()), flavors={"python_function": {}, "xgboost": {}}
    )
    error = refusal(tmp_path, file)
    assert error.code == "other_flavour"
    assert "python_function, xgboost" in error.message


def test_code_of_its_own_is_refused_until_it_is_given(tmp_path: Path) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), code="code")
    (file / "code").mkdir()
    (file / "code" / "unused_helper.py").write_text("")
    error = refusal(tmp_path, file)
    assert error.code == "mlflow_code"
    assert f"--code {file / 'code'}" in error.message
    (tmp_path / "again").mkdir()
    assert added(tmp_path / "again", file, code=file / "code").manifest.code is not None


def test_another_scikit_learn_is_told_before_the_pickle_is_read(tmp_path: Path) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), sklearn_version="1.2.3")
    (file / "model.pkl").write_bytes(b"not readable here")
    error = refusal(tmp_path, file)
    assert error.code == "other_sklearn_version"
    assert "1.2.3" in error.message


@pytest.mark.parametrize("by_value", [True, False])
def test_functions_of_another_python_are_told(tmp_path: Path, by_value: bool) -> None:
    steps = [FunctionTransformer(lambda rows: rows / 2)] if by_value else []
    estimator = make_pipeline(*steps, LinearRegression()).fit(WINE, KIND)
    file = logged(tmp_path / "logged", estimator, DOUBLES)
    flavours = yaml.safe_load((file / "MLmodel").read_text())["flavors"]
    flavours["python_function"]["python_version"] = "3.9.1"
    changed(file, flavors=flavours)
    if by_value:
        assert refusal(tmp_path, file).code == "other_python_version"
    else:
        assert added(tmp_path, file).manifest.version == 0


@pytest.mark.parametrize("name", ["../secret.pkl", "/secret.pkl", None, 3])
def test_a_file_elsewhere_is_not_taken(tmp_path: Path, name: Any) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), pickled_model=name)
    (tmp_path / "secret.pkl").write_bytes((file / "model.pkl").read_bytes())
    assert refusal(tmp_path, file).code == "not_mlflow"


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "\x00", "a: &a [*a]\nflavors: 3"])
def test_descriptions_that_are_none(tmp_path: Path, text: str) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND))
    (file / "MLmodel").write_text(text)
    assert refusal(tmp_path, file).code in ("not_mlflow", "other_flavour")


def test_a_folder_that_mlflow_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    error = refusal(tmp_path, tmp_path / "folder")
    assert error.code == "not_mlflow"
    assert "Name the model's file" in error.message


@pytest.mark.parametrize(
    ("inputs", "example"),
    [
        (DOUBLES, {"columns": ["a", "b"], "data": [[1, 2]]}),
        (DOUBLES, {"columns": list(WINE.columns), "data": [["one", "two", "three"]]}),
        (DOUBLES, {"columns": list(WINE.columns), "data": [[1]]}),
        (DOUBLES, {"columns": 3, "data": None}),
        ([{"type": "tensor"}], None),
        ([3], None),
        ({"a": 1}, None),
    ],
)
def test_signatures_and_examples_that_do_not_fit(tmp_path: Path, inputs: Any, example: Any) -> None:
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), inputs, example)
    assert refusal(tmp_path, file).code == "bad_example"


def test_a_column_of_a_type_that_no_estimator_takes(tmp_path: Path) -> None:
    inputs = [*DOUBLES[:2], {"type": "datetime", "name": "proline", "required": True}]
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), inputs)
    error = refusal(tmp_path, file)
    assert error.code == "unusable_column"
    assert "datetime" in error.message


def test_the_command_line_takes_a_folder_and_shows_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ROWMILL_DATABASE_URL", raising=False)
    file = logged(tmp_path / "logged", LinearRegression().fit(WINE, KIND), DOUBLES)
    assert CliRunner().invoke(app, ["add", "wine", str(file)]).exit_code == 0
    assert f"mlflow     run {RUN}, model dc46" in CliRunner().invoke(app, ["show", "wine"]).stdout


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="MLflow is installed")
def test_addresses_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ROWMILL_DATABASE_URL", raising=False)
    result = CliRunner().invoke(app, ["add", "wine", "models:/wine@champion"])
    assert result.exit_code == 1
    assert "pip install 'rowmill[mlflow]'" in result.stderr

"""What can become a version and what cannot, each refusal with its reason."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from models.adding import NewVersion, prepare
from models.errors import ArtefactRefused
from models.loading import load
from models.manifest import ImageSpec
from tests.unit.models.making import added, added_file, saved_csv

WINE, KIND = load_wine(return_X_y=True, as_frame=True)


def trained_elsewhere(folder: Path, source: str, script: str = "train.py") -> Path:
    """Run ``source`` as a script of its own, which saves ``m.joblib``."""
    (folder / script).write_text(source)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, script], cwd=folder, env=environment, check=True)
    return folder / "m.joblib"


TRAIN = """
import joblib, numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.linear_model import LinearRegression
{definition}
X = np.arange(1.0, 21.0).reshape(10, 2)
joblib.dump(make_pipeline(FunctionTransformer({function}), LinearRegression()).fit(X, X[:, 0]), "m.joblib")
"""


def refusal(folder: Path, file: Path, **options: Any) -> ArtefactRefused:
    with pytest.raises(ArtefactRefused) as refused:
        added_file(folder, file, **options)
    return refused.value


def test_a_function_of_the_script_itself_is_named(tmp_path: Path) -> None:
    file = trained_elsewhere(
        tmp_path, TRAIN.format(definition="def halve(X): return X / 2", function="halve")
    )
    error = refusal(tmp_path, file)
    assert error.code == "needs_main"
    assert "halve" in error.message
    assert "--code features.py" in error.message


@pytest.mark.parametrize(
    ("module", "advice"), [("lightgbm", "pip install lightgbm"), ("features", "--code features.py")]
)
def test_a_module_that_is_not_installed_is_named_with_what_to_do(
    tmp_path: Path, module: str, advice: str
) -> None:
    (tmp_path / f"{module}.py").write_text("def halve(X): return X / 2")
    source = TRAIN.format(definition=f"import {module}", function=f"{module}.halve")
    error = refusal(tmp_path, trained_elsewhere(tmp_path, source))
    assert error.code == "module_not_installed"
    assert advice in error.message
    # a name that is only guessed is no advice: somebody else's package may have it
    assert "pip install features" not in error.message


@pytest.mark.parametrize("with_code", [False, True])
def test_a_module_with_the_name_of_one_of_ours_is_refused(tmp_path: Path, with_code: bool) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "foo.py").write_text("def halve(X): return X / 2")
    file = trained_elsewhere(
        tmp_path, TRAIN.format(definition="import models.foo", function="models.foo.halve")
    )
    error = refusal(tmp_path, file, code=tmp_path / "models" if with_code else None)
    assert error.code == "shadowed_module"
    assert "'models'" in error.message
    assert "my_models" in error.message


def test_another_version_of_scikit_learn_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = GaussianNB().fit(WINE, KIND)
    monkeypatch.setattr("sklearn.base.__version__", "1.2.3")
    joblib.dump(model, tmp_path / "m.joblib")
    monkeypatch.undo()
    error = refusal(tmp_path, tmp_path / "m.joblib")
    assert error.code == "other_sklearn_version"
    assert "1.2.3" in error.message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"model": GaussianNB(), "scaler": 1}, "dict with the keys model, scaler"),
        (np.zeros(3), "ndarray"),
        (StandardScaler().fit(WINE), "StandardScaler"),
        ("text", "str"),
    ],
)
def test_what_is_no_estimator_is_said_by_name(tmp_path: Path, value: Any, words: str) -> None:
    with pytest.raises(ArtefactRefused, match=words) as refused:
        added(tmp_path, value)
    assert refused.value.code == "not_an_estimator"


def test_an_estimator_must_be_fitted(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused, match="call fit") as refused:
        added(tmp_path, GaussianNB(), columns=["a"])
    assert refused.value.code == "not_fitted"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, tmp_path / "nope.joblib")
    assert error.code == "unreadable_artefact"
    assert "nope.joblib" in error.message


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"columns": ["a", "b"]}, "column_count", "--columns names 2 columns, the model takes 13"),
        ({"labels": {"7": "x"}}, "labels_conflict", "'7'; the model's classes are 0, 1, 2"),
        ({"labels": {"0": "x", "1": "x"}}, "labels_conflict", "the same name"),
        ({"image": ImageSpec(width=2, height=2)}, "column_count", "gives 4 numbers, the model takes 13"),
        ({"data": Path("nope.csv")}, "unreadable_data", "nope.csv"),
        ({"sample": Path("nope.csv")}, "bad_sample", "nope.csv"),
        ({"code": Path("nope.py")}, "code_unreadable", "nope.py"),
    ],
)
def test_options_that_do_not_fit_the_model_are_refused(
    tmp_path: Path, options: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ArtefactRefused, match=words) as refused:
        added(tmp_path, GaussianNB().fit(WINE.to_numpy(), KIND), **options)
    assert refused.value.code == code


def test_columns_may_not_contradict_the_names_of_training(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused, match="leave out --columns"):
        added(tmp_path, GaussianNB().fit(WINE, KIND), columns=list("abcdefghijklm"))


def test_names_for_the_columns_of_an_array_come_from_columns_or_sample(tmp_path: Path) -> None:
    model = GaussianNB().fit(WINE.to_numpy(), KIND)
    names = tuple(WINE.columns)
    by_hand = added(tmp_path / "a", model, columns=names).manifest.signature
    by_sample = added(tmp_path / "b", model, sample=saved_csv(tmp_path, WINE)).manifest.signature
    neither = added(tmp_path / "c", model).manifest.signature
    assert by_hand.names == by_sample.names == names
    assert neither.names == tuple(f"x{position}" for position in range(13))
    assert {by_hand.named, by_sample.named, neither.named} == {False}


def test_the_target_is_left_out_of_a_sample_and_asked_for_if_it_is_in_the_way(tmp_path: Path) -> None:
    model = GaussianNB().fit(WINE.to_numpy(), KIND)
    sample = saved_csv(tmp_path, WINE.assign(kind=KIND))
    with pytest.raises(ArtefactRefused, match=r"14 columns.*--target"):
        added(tmp_path / "a", model, sample=sample)
    assert added(tmp_path / "b", model, sample=sample, targets=["kind"]).manifest.signature.names == tuple(
        WINE
    )
    with pytest.raises(ArtefactRefused, match="kind") as refused:
        added(tmp_path / "c", model, sample=sample, targets=["sort"])
    assert refused.value.code == "unknown_target"


def test_a_column_that_the_sample_lacks_is_named_with_its_neighbour(tmp_path: Path) -> None:
    model = GaussianNB().fit(WINE, KIND)
    sample = saved_csv(tmp_path, WINE.rename(columns={"alcohol": "alchohol"}))
    with pytest.raises(ArtefactRefused, match=r"'alcohol' \(nearest: alchohol\)"):
        added(tmp_path, model, sample=sample)


def test_pkl_and_joblib_are_alike(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=10_000).fit(WINE, KIND)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    by_pickle = added_file(tmp_path, tmp_path / "m.pkl").manifest
    by_joblib = added(tmp_path / "other", model).manifest
    assert by_pickle.artefact.file == "model.pkl"
    assert by_pickle.signature == by_joblib.signature
    assert by_pickle.parameters == by_joblib.parameters
    assert by_pickle.parameters["max_iter"] == 10_000


def test_the_manifest_records_where_a_version_comes_from(tmp_path: Path) -> None:
    data = saved_csv(tmp_path, WINE)
    options = {"data": data, "revision": "abc123", "meta": {"accuracy": "0.98"}}
    manifest = added(tmp_path, GaussianNB().fit(WINE, KIND), **options).manifest
    assert (manifest.data_file, manifest.revision, manifest.meta) == (
        "sample.csv",
        "abc123",
        {"accuracy": "0.98"},
    )
    assert manifest.data_sha256 is not None
    assert manifest.estimator == "sklearn.naive_bayes.GaussianNB"
    assert {"python", "scikit-learn", "numpy", "joblib"} <= set(manifest.libraries)
    assert manifest.row_cost_seconds > 0


def test_one_changed_byte_and_nothing_is_unpickled(tmp_path: Path) -> None:
    model = added(tmp_path, GaussianNB().fit(WINE, KIND))
    stored = tmp_path / "store" / model.manifest.artefact.file
    marker = tmp_path / "unpickled"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(marker),))

    stored.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ArtefactRefused, match="will not be loaded") as refused:
        load(model.manifest, tmp_path / "store")
    assert refused.value.code == "digest_mismatch"
    assert not marker.exists()
    stored.unlink()
    with pytest.raises(ArtefactRefused) as refused:
        load(model.manifest, tmp_path / "store")
    assert refused.value.code == "artefact_missing"


def test_unusual_values_are_accepted_as_far_as_the_estimator_does(tmp_path: Path) -> None:
    small = WINE.iloc[:, :3]
    cases = {
        "forest": (RandomForestClassifier(3).fit(small, KIND), (True, False)),
        "neighbours": (KNeighborsClassifier(1).fit(small, KIND), (False, False)),
        "lines": (LinearRegression().fit(small, KIND), (False, False)),
    }
    for name, (model, expected) in cases.items():
        columns = added(tmp_path / name, model).manifest.signature.columns
        assert {(spec.accepts_null, spec.accepts_infinite) for spec in columns} == {expected}, name


def test_a_sample_shorter_than_the_probes_is_enough(tmp_path: Path) -> None:
    model = GaussianNB().fit(WINE, KIND)
    manifest = added(tmp_path, model, sample=saved_csv(tmp_path, WINE.head(1))).manifest
    assert manifest.example == pd.DataFrame(WINE.head(1)).astype(float).to_dict("records")[0]


def test_preparing_leaves_only_the_files_of_the_version(tmp_path: Path) -> None:
    joblib.dump(GaussianNB().fit(WINE, KIND), tmp_path / "m.joblib")
    (tmp_path / "store").mkdir()
    prepare(NewVersion(name="m", file=tmp_path / "m.joblib"), tmp_path / "store")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["model.joblib"]

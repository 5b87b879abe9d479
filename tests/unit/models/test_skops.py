"""Files of skops become versions without pickle, and without a type that nobody confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.datasets import load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from typer.testing import CliRunner

from models.adding import NewVersion, prepare
from models.errors import ArtefactRefused
from models.loading import load
from models.user_code import Bundle, store
from rowmill.cli.models_commands import app
from tests.unit.models.making import added_file, table_of

WINE, KIND = load_wine(return_X_y=True, as_frame=True)
TREE = "sklearn.tree._tree.Tree"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return saved(tmp_path, DecisionTreeClassifier(max_depth=2).fit(WINE, KIND))


def saved(folder: Path, estimator: Any) -> Path:
    """The name's ending says nothing: what is in the file decides."""
    file = folder / "m.model"
    skops.io.dump(estimator, file)
    return file


def refusal(folder: Path, file: Path, **options: Any) -> ArtefactRefused:
    with pytest.raises(ArtefactRefused) as refused:
        added_file(folder, file, **options)
    return refused.value


def test_a_file_without_pickle_answers_as_its_estimator(tmp_path: Path) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(WINE, KIND)
    model = added_file(tmp_path, saved(tmp_path, estimator))
    assert model.manifest.artefact.file == "model.skops"
    assert model.manifest.artefact.trusted == ()
    assert {"skops", "scikit-learn", "numpy"} <= set(model.manifest.libraries)
    assert model.score(table_of(WINE))["prediction"].to_pylist() == estimator.predict(WINE).tolist()


def test_a_scaler_of_its_own_may_be_one_too(tmp_path: Path) -> None:
    scaler = StandardScaler().fit(WINE)
    skops.io.dump(scaler, tmp_path / "scaler.skops")
    estimator = LogisticRegression(max_iter=1000).fit(scaler.transform(WINE), KIND)
    model = added_file(tmp_path, saved(tmp_path, estimator), preprocessor=tmp_path / "scaler.skops")
    expected = estimator.predict(scaler.transform(WINE)).tolist()
    assert model.score(table_of(WINE))["prediction"].to_pylist() == expected


def test_types_are_named_until_they_are_confirmed(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "first").mkdir()
    error = refusal(tmp_path / "first", tree)
    assert error.code == "untrusted_types"
    assert f"--trust {TREE}" in error.message
    assert added_file(tmp_path, tree, trust=[TREE]).manifest.artefact.trusted == (TREE,)


def test_what_was_confirmed_is_checked_at_every_load(tmp_path: Path, tree: Path) -> None:
    manifest = added_file(tmp_path, tree, trust=[TREE]).manifest
    forgotten = manifest.artefact.model_copy(update={"trusted": ()})
    with pytest.raises(ArtefactRefused, match=TREE):
        load(manifest.model_copy(update={"artefact": forgotten, "scorer": None}), tmp_path / "store")
    with (tmp_path / "store" / "model.skops").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ArtefactRefused) as changed:
        load(manifest.model_copy(update={"scorer": None}), tmp_path / "store")
    assert changed.value.code == "digest_mismatch"


def test_a_type_that_need_not_be_confirmed_is_told(tmp_path: Path) -> None:
    file = saved(tmp_path, LinearRegression().fit(WINE, KIND))
    assert refusal(tmp_path, file, trust=[TREE]).code == "nothing_to_trust"


def test_own_functions_run_once_they_are_confirmed_and_not_before(tmp_path: Path) -> None:
    witness = tmp_path / "it-ran"
    module = tmp_path / "halving.py"
    module.write_text(
        f"from pathlib import Path\nPath({str(witness)!r}).touch()\ndef halve(X):\n    return X / 2\n"
    )
    bundle = Bundle(tmp_path, store(module, tmp_path))
    with bundle.mounted():
        import halving  # type: ignore[import-not-found]  # noqa: PLC0415 - found in the bundle only

        estimator = make_pipeline(FunctionTransformer(halving.halve), LinearRegression()).fit(WINE, KIND)
        file = saved(tmp_path, estimator)
    witness.unlink()
    assert "--trust halving.halve" in refusal(tmp_path, file, code=module).message
    assert not witness.exists()
    (tmp_path / "again").mkdir()
    new = NewVersion("m", file, code=module, trust=["halving.halve"])
    model = load(prepare(new, tmp_path / "again"), tmp_path / "again")
    assert witness.exists()
    assert model.score(table_of(WINE)).num_rows == len(WINE)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, tree: Path, kept: float) -> None:
    content = tree.read_bytes()
    tree.write_bytes(content[: int(len(content) * kept)])
    assert refusal(tmp_path, tree, trust=[TREE]).code == "unreadable_artefact"


def test_another_version_of_scikit_learn_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = LinearRegression().fit(WINE, KIND)
    monkeypatch.setattr("sklearn.base.__version__", "1.2.3")
    file = saved(tmp_path, estimator)
    monkeypatch.undo()
    error = refusal(tmp_path, file)
    assert error.code == "other_sklearn_version"
    assert "1.2.3" in error.message


def test_the_command_line_confirms_and_shows(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ROWMILL_DATABASE_URL", raising=False)
    refused = CliRunner().invoke(app, ["add", "tree", str(tree)])
    assert (refused.exit_code, "(untrusted_types)" in refused.stderr) == (1, True)
    assert CliRunner().invoke(app, ["add", "tree", str(tree), "--trust", TREE]).exit_code == 0
    assert f"trusted    {TREE}" in CliRunner().invoke(app, ["show", "tree"]).stdout

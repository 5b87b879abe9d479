"""The user's own modules: stored, checked, importable while the version works, and never mixed up."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from models.adding import NewVersion, prepare
from models.errors import ArtefactRefused
from models.loading import LoadedModel, load
from models.user_code import Bundle, store

ROWS = pa.table({"x0": [2.0, 4.0], "x1": [0.0, 0.0]})


def version(folder: Path, body: str, *, late_import: bool = False) -> LoadedModel:
    """A model whose first step is ``features.change``, added with its two modules."""
    code, kept = folder / "code", folder / "store"
    code.mkdir(parents=True)
    kept.mkdir()
    helper = "import helpers_of_features as helpers"
    first, inner = ("", f"    {helper}\n") if late_import else (f"{helper}\n", "")
    (code / "helpers_of_features.py").write_text(f"def f(X): return {body}\n")
    (code / "features.py").write_text(f"{first}def change(X):\n{inner}    return helpers.f(X)\n")
    train_with(code, folder / "m.joblib")
    return load(prepare(NewVersion(name="m", file=folder / "m.joblib", code=code), kept), kept)


def train_with(code: Path, file: Path) -> None:
    """Fit and save a model as the owner of ``code`` would, and forget the modules again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(code)
        change = importlib.import_module("features").change
        inputs = np.arange(1.0, 21.0).reshape(10, 2)
        model = make_pipeline(FunctionTransformer(change), LinearRegression()).fit(inputs, inputs[:, 0])
        joblib.dump(model, file)
    for module in ("features", "helpers_of_features"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("late_import", [False, True])
def test_two_versions_of_one_module_work_side_by_side(tmp_path: Path, late_import: bool) -> None:
    double = version(tmp_path / "a", "X * 2", late_import=late_import)
    negative = version(tmp_path / "b", "-X", late_import=late_import)
    inputs = np.array([[2.0, 0.0], [4.0, 0.0]])
    for model, factor in ((double, 2), (negative, -1), (double, 2)):
        expected = model.estimator[-1].predict(inputs * factor)
        assert np.allclose(model.score(ROWS)["prediction"].to_numpy(), expected)
    assert "features" not in sys.modules
    assert "helpers_of_features" not in sys.modules


def test_two_threads_do_not_see_each_others_modules(tmp_path: Path) -> None:
    models = [
        version(tmp_path / "a", "X * 2", late_import=True),
        version(tmp_path / "b", "-X", late_import=True),
    ]
    expected = [model.score(ROWS) for model in models]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(50):
            same = models[which].score(ROWS).equals(expected[which])
            wrong.extend([] if same else [which])

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_manifest_names_modules_and_files(tmp_path: Path) -> None:
    manifest = version(tmp_path / "a", "X").manifest
    assert manifest.code is not None
    assert manifest.code.modules == ("features", "helpers_of_features")
    assert manifest.code.files == ("features.py", "helpers_of_features.py")
    assert "features" not in manifest.libraries


def test_changed_code_is_not_imported(tmp_path: Path) -> None:
    model = version(tmp_path / "a", "X")
    changed = tmp_path / "a" / "store" / "code" / "features.py"
    changed.write_text("raise SystemExit('imported')")
    with pytest.raises(ArtefactRefused) as refused:
        load(model.manifest, tmp_path / "a" / "store")
    assert refused.value.code == "digest_mismatch"


def test_an_added_file_counts_as_a_change(tmp_path: Path) -> None:
    model = version(tmp_path / "a", "X")
    (tmp_path / "a" / "store" / "code" / "more.py").write_text("")
    with pytest.raises(ArtefactRefused, match="not the ones"):
        load(model.manifest, tmp_path / "a" / "store")


def test_a_cached_pyc_is_neither_read_nor_written(tmp_path: Path) -> None:
    source = tmp_path / "features.py"
    source.write_text("VALUE = 'from the source'")
    code = store(source, tmp_path)
    bundle = Bundle(tmp_path, code)
    with bundle.mounted():
        import features  # type: ignore[import-not-found]  # noqa: PLC0415

        assert features.VALUE == "from the source"
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_package_keeps_its_name_and_its_data_files(tmp_path: Path) -> None:
    package = tmp_path / "ourfeatures"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.txt").write_text("red")
    (package / "inner" / "colours.py").write_text(
        "from importlib.resources import files\nWORD = files('ourfeatures').joinpath('words.txt').read_text()"
    )
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"")
    code = store(package, tmp_path)
    assert code.files == ("ourfeatures/__init__.py", "ourfeatures/inner/colours.py", "ourfeatures/words.txt")
    with Bundle(tmp_path, code).mounted():
        from ourfeatures.inner.colours import WORD  # type: ignore[import-not-found]  # noqa: PLC0415

        assert WORD == "red"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("models.py", "shadowed_module", "a part of Rowmill"),
        ("json.py", "shadowed_module", "a module of Python itself"),
        ("pandas.py", "shadowed_module", "an installed library"),
        ("my-features.py", "code_unreadable", "cannot be imported"),
        ("features.txt", "code_unreadable", "holds no Python module"),
    ],
)
def test_names_that_cannot_work_are_refused(tmp_path: Path, name: str, code: str, words: str) -> None:
    (tmp_path / name).write_text("")
    folder = tmp_path / "store"
    folder.mkdir()
    with pytest.raises(ArtefactRefused, match=words) as refused:
        store(tmp_path / name, folder)
    assert refused.value.code == code

"""Looking into a pickle without running it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from models.errors import ArtefactRefused
from models.pickles import check, inspect

NUMBERS = np.random.default_rng(0).normal(size=(60, 3))
CLASSES = (NUMBERS[:, 0] > 0).astype(int)
WORDS = np.array([["a"], ["b"]] * 30, dtype=object)


class Marker:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


def fitted() -> list[Any]:
    return [
        LogisticRegression().fit(NUMBERS, CLASSES),
        make_pipeline(OneHotEncoder(), LogisticRegression()).fit(WORDS, CLASSES),
        GradientBoostingClassifier(n_estimators=3).fit(NUMBERS, CLASSES),
        HistGradientBoostingClassifier(max_iter=3).fit(NUMBERS, CLASSES),
    ]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_files_of_every_compression_are_understood(tmp_path: Path, compress: Any) -> None:
    for model in fitted():
        joblib.dump(model, tmp_path / "m", compress=compress)
        contents = inspect(tmp_path / "m", "m")
        assert {"sklearn", "numpy"} <= contents.packages
        assert contents.sklearn_versions == {sklearn.__version__}
        check(contents, "m", ())


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol_are_understood(tmp_path: Path, protocol: int) -> None:
    for model in fitted():
        (tmp_path / "m").write_bytes(pickle.dumps(model, protocol))
        contents = inspect(tmp_path / "m", "m")
        assert contents.sklearn_versions == {sklearn.__version__}
        check(contents, "m", ())


def test_nothing_runs_while_looking(tmp_path: Path) -> None:
    target = tmp_path / "made by the pickle"
    for dump in (joblib.dump, lambda value, path: path.write_bytes(pickle.dumps(value))):
        dump(make_pipeline(FunctionTransformer(Marker(target)), LogisticRegression()), tmp_path / "m")
        assert inspect(tmp_path / "m", "m").names["posix"] == {"mkdir"}
    assert not target.exists()


@pytest.mark.parametrize(
    "data", [b"", b"a,b\n1,2\n", b"\x80\x05", b"PK\x03\x04", b"\x1f\x8b\x08junk", b"\x78\x9cjunk"]
)
def test_a_file_that_is_no_pickle_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m").write_bytes(data)
    with pytest.raises(ArtefactRefused, match=r"joblib\.dump") as refused:
        inspect(tmp_path / "m", "wine.csv")
    assert refused.value.code == "unreadable_artefact"


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    joblib.dump(fitted()[0], tmp_path / "m")
    data = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(data[:-20])
    with pytest.raises(ArtefactRefused, match="not a complete pickle"):
        inspect(tmp_path / "m", "m")


def test_the_version_of_an_old_file_is_found_though_it_could_not_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted()[2]
    monkeypatch.setattr("sklearn.base.__version__", "0.9.0")
    data = pickle.dumps(model, 2)
    monkeypatch.undo()
    (tmp_path / "m").write_bytes(data.replace(b"sklearn.tree._tree", b"sklearn.tree._gone"))
    with pytest.raises(ArtefactRefused) as refused:
        check(inspect(tmp_path / "m", "m"), "m.pkl", ())
    assert refused.value.code == "other_sklearn_version"
    assert "scikit-learn 0.9.0" in refused.value.message
    assert "pip install scikit-learn==0.9.0" in refused.value.message
    assert sklearn.__version__ in refused.value.message

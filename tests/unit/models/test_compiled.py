"""A version with a compiled scorer: nothing is unpickled before it must be, and all answers stay the same."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.svm import SVC

from jobs.scoring import Scorer, score_rows
from models.cache import ModelCache
from models.errors import ArtefactRefused
from models.loading import LoadedModel, load
from models.manifest import SKLEARN, Manifest, output_schema
from tests.unit.models.making import added, saved_csv, table_of

NAMES = list("abcd")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(4).normal(size=(300, len(NAMES))).round(3), columns=NAMES)


def for_batches(model: LoadedModel, folder: Path) -> LoadedModel:
    """The same, as if it had been found to be faster on batches: a busy machine may find otherwise."""
    record = model.manifest.scorer
    assert record is not None
    assert record.kind is not None
    scorer = record.model_copy(update={"scores_batches": True})
    return load(model.manifest.model_copy(update={"scorer": scorer}), folder / "store")


@pytest.fixture
def version(tmp_path: Path, rows: pd.DataFrame) -> Manifest:
    """Its files lie in ``tmp_path / "store"``."""
    labels = np.where(rows["a"] + rows["b"] > 0.3, "goes", "stays")
    estimator = LogisticRegression().fit(rows, labels)
    return for_batches(added(tmp_path, estimator, sample=saved_csv(tmp_path, rows)), tmp_path).manifest


def test_files_and_rows_are_scored_without_the_pickle(
    version: Manifest, tmp_path: Path, rows: pd.DataFrame
) -> None:
    by_sklearn = load(version.model_copy(update={"scorer": None}), tmp_path / "store")
    wanted = by_sklearn.score(table_of(rows), confidence=True)
    (tmp_path / "store" / version.artefact.file).unlink()
    model = load(version, tmp_path / "store")
    table, scorer = model.scored(table_of(rows), confidence=True)
    assert (scorer, version.scored_by) == ("linear", "linear")
    assert table.schema == wanted.schema
    assert table["prediction"].equals(wanted["prediction"])
    for name in wanted.column_names[1:]:
        np.testing.assert_allclose(table[name].to_numpy(), wanted[name].to_numpy(), rtol=0, atol=1e-12)
    assert model.plain_rows.answer(rows.iloc[0].to_dict()) is not None
    assert not model.has_estimator


def test_the_pickle_is_needed_for_what_the_scorer_leaves_to_it(
    version: Manifest, tmp_path: Path, rows: pd.DataFrame
) -> None:
    model = load(version, tmp_path / "store")
    broken = rows.head(3).copy()
    broken.loc[1, "c"] = np.nan
    with pytest.raises(ValueError, match="NaN"):  # scikit-learn's own words
        model.score(table_of(broken))
    assert model.has_estimator
    assert model.scored(table_of(rows)).scorer == "linear"


def test_a_changed_pickle_is_found_out_when_it_is_needed(version: Manifest, tmp_path: Path) -> None:
    model = load(version, tmp_path / "store")
    with (tmp_path / "store" / version.artefact.file).open("ab") as artefact:
        artefact.write(b"!")
    with pytest.raises(ArtefactRefused, match="changed") as refused:
        _ = model.estimator
    assert refused.value.code == "digest_mismatch"


def test_trouble_with_the_pickle_is_never_taken_for_bad_rows(
    version: Manifest, tmp_path: Path, rows: pd.DataFrame
) -> None:
    model = load(version, tmp_path / "store")
    (tmp_path / "store" / version.artefact.file).unlink()
    left_to_the_estimator = table_of(rows.assign(a=np.inf))
    scorer = Scorer(output_schema(version, confidence=False), model.score, call_rows=100)
    with pytest.raises(ArtefactRefused, match="cannot be read"):
        score_rows(scorer, left_to_the_estimator, len(rows), [], lambda: None)


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ESTALE, errno.EIO])
def test_what_may_pass_is_not_held_against_the_version(
    version: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    def no_file(path: Path, *_arguments: Any) -> Any:
        raise OSError(trouble, os.strerror(trouble), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", no_file)
        with pytest.raises(OSError, match=os.strerror(trouble)):
            load(version, tmp_path / "store")
    load(version, tmp_path / "store")


def test_too_little_memory_is_not_held_against_the_version(
    version: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_stream: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(joblib, "load", no_memory)
    with pytest.raises(MemoryError):
        load(version.model_copy(update={"scorer": None}), tmp_path / "store")


def test_a_changed_scorer_is_not_loaded(version: Manifest, tmp_path: Path) -> None:
    assert version.scorer is not None
    for stored in version.scorer.files:
        path = tmp_path / "store" / stored.file
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"!")
        with pytest.raises(ArtefactRefused, match="changed"):
            load(version, tmp_path / "store")
        path.unlink()
        with pytest.raises(ArtefactRefused, match="cannot be read"):
            load(version, tmp_path / "store")
        path.write_bytes(content)
    load(version, tmp_path / "store")


def test_another_scikit_learn_is_refused_although_nothing_is_unpickled(
    version: Manifest, tmp_path: Path
) -> None:
    other = version.model_copy(update={"libraries": {**version.libraries, "scikit-learn": "1.2.0"}})
    with pytest.raises(ArtefactRefused, match=r"saved with scikit-learn 1\.2\.0"):
        load(other, tmp_path / "store")


def test_labels_of_near_ties_are_the_estimators_own(tmp_path: Path, rows: pd.DataFrame) -> None:
    estimator = LogisticRegression().fit(rows, np.where(rows["a"] > 0, "goes", "stays"))
    estimator.coef_[:] = [[1.0, 0, 0, 0]]
    estimator.intercept_[:] = 0
    model = for_batches(added(tmp_path, estimator, sample=saved_csv(tmp_path, rows)), tmp_path)
    ties = rows.head(50).assign(a=np.tile([0.0, 1e-12, -1e-12, 1e-17, -1e-17], 10))
    assert model.scored(table_of(ties)).scorer == "linear"
    assert model.score(table_of(ties))["prediction"].to_pylist() == estimator.predict(ties).tolist()
    assert model.plain_rows.answer(ties.iloc[0].to_dict()) is None


def test_a_tolerance_leaves_more_labels_to_the_estimator(tmp_path: Path, rows: pd.DataFrame) -> None:
    """Numbers that may differ by 0.001 decide nothing between classes that are closer than twice that."""
    sample, labels = saved_csv(tmp_path, rows), np.where(rows["a"] > 0, "goes", "stays")
    estimator = LogisticRegression().fit(rows, labels)
    estimator.coef_[:], estimator.intercept_[:] = [[1.0, 0, 0, 0]], 0
    model = added(tmp_path / "linear", estimator, sample=sample, tolerance=1e-3)
    forest = added(
        tmp_path / "forest",
        RandomForestClassifier(4, random_state=0).fit(rows, labels),
        sample=sample,
        tolerance=1e-3,
    )
    for each in (model, forest):
        assert each.manifest.scorer is not None
        assert (each.manifest.scorer.near_tie, each.manifest.scorer.labels_from_ties) == (2e-3, False)
    # a score of 0.0038 is a lead of 0.0019
    close, clear = (rows.iloc[0].to_dict() | {"a": score} for score in (0.0038, 0.0042))
    assert model.plain_rows.answer(close) is None
    assert model.plain_rows.answer(clear) is not None
    model = for_batches(model, tmp_path / "linear")
    model.score(table_of(pd.DataFrame([clear])))
    assert not model.has_estimator
    model.score(table_of(pd.DataFrame([close])))
    assert model.has_estimator


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_without_probabilities_is_compiled_to_its_labels(
    tmp_path: Path, rows: pd.DataFrame, classes: int
) -> None:
    labels = np.array(["stays", "goes", "comes"])[
        np.digitize(rows["a"] + rows["b"], [0.3, 0.9][: classes - 1])
    ]
    estimator = RidgeClassifier().fit(rows, labels)
    model = for_batches(added(tmp_path, estimator, sample=saved_csv(tmp_path, rows)), tmp_path)
    assert model.manifest.scored_by == "linear"
    table = model.score(table_of(rows))
    assert table.column_names == ["prediction"]
    wanted = estimator.predict(rows).tolist()
    assert table["prediction"].to_pylist() == wanted
    for at in range(10):
        assert model.plain_rows.answer(rows.iloc[at].to_dict()) == (wanted[at], [])
    assert not model.has_estimator


def test_numbers_are_scored_by_a_compiled_regressor(tmp_path: Path, rows: pd.DataFrame) -> None:
    estimator = LinearRegression().fit(rows, rows["a"] * 3 + 1)
    model = for_batches(added(tmp_path, estimator, sample=saved_csv(tmp_path, rows)), tmp_path)
    table, scorer = model.scored(table_of(rows))
    assert scorer == "linear"
    np.testing.assert_allclose(table["prediction"].to_numpy(), estimator.predict(rows), rtol=1e-12)
    assert not model.has_estimator


def test_scikit_learn_scores_if_asked_to_and_says_why(tmp_path: Path, rows: pd.DataFrame) -> None:
    estimator = LinearRegression().fit(rows, rows["a"])
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, rows), compiled=False)
    assert model.manifest.scorer is not None
    assert (model.manifest.scorer.kind, model.manifest.scorer.reason) == (None, "asked for")
    assert model.scored(table_of(rows)).scorer == SKLEARN
    assert not list((tmp_path / "store").glob("scorer*"))


def test_what_has_no_compiled_form_says_so(tmp_path: Path, rows: pd.DataFrame) -> None:
    model = added(tmp_path, SVC().fit(rows, rows["a"] > 0), sample=saved_csv(tmp_path, rows))
    assert model.manifest.scorer is not None
    assert model.manifest.scorer.kind is None
    assert model.manifest.scorer.reason
    assert model.has_estimator  # what is wrong with a pickle is told when it is loaded
    assert model.scored(table_of(rows)).scorer == SKLEARN


@dataclass
class Shelf:
    """A source of versions that are all the same but for their names."""

    manifest: Manifest
    folder: Path
    models: dict[str, LoadedModel] = field(default_factory=dict)

    def get(self, name: str, version: int) -> Manifest:
        return self.manifest.model_copy(update={"name": name, "version": version})

    def load(self, name: str, version: int) -> LoadedModel:
        self.models[name] = load(self.get(name, version), self.folder)
        return self.models[name]


def test_a_cache_makes_room_for_an_estimator_when_it_is_unpickled(version: Manifest, tmp_path: Path) -> None:
    shelf = Shelf(version.with_memory(10, 1000), tmp_path / "store")
    cache = ModelCache(shelf, limit_bytes=1500)
    for name in ("one", "two", "three"):
        cache.get(name, 1)
    assert all(cache.loaded(name, 1) for name in ("one", "two", "three"))
    assert shelf.models["three"].estimator is not None
    assert all(cache.loaded(name, 1) for name in ("one", "two", "three"))  # 1,030 bytes
    assert shelf.models["two"].estimator is not None
    assert [name for name in ("one", "two", "three") if cache.loaded(name, 1)] == ["two"]
    gone = shelf.models["one"]
    assert gone.estimator is not None  # whoever still holds it may use it, and it does not count
    assert cache.loaded("two", 1)
    assert cache.has_room_for(shelf.get("four", 1))


def test_a_scorer_of_no_use_here_leaves_an_estimator_that_counts(
    version: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.scorers.store.FORM", 99)
    cache = ModelCache(Shelf(version.with_memory(10, 1000), tmp_path / "store"), limit_bytes=1500)
    for name in ("one", "two"):
        assert cache.get(name, 1).has_estimator
    assert [name for name in ("one", "two") if cache.loaded(name, 1)] == ["two"]

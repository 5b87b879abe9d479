"""Whatever model is drawn, a scorer that the verifier accepts answers rows as the estimator does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from models.adding import NewVersion, prepare
from models.loading import LoadedModel, load
from models.manifest import ARROW_KINDS, Manifest
from tests.unit.models.making import table_of

ROWS = 120
TREES = (RandomForestClassifier, ExtraTreesClassifier, RandomForestRegressor)
BOOSTERS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor, GradientBoostingClassifier)
SMOOTH = (LogisticRegression, Ridge, MLPClassifier, RidgeClassifier, SGDClassifier)


@st.composite
def estimators(draw: st.DrawFn) -> Any:
    """An estimator of any shape; sometimes behind what makes words and gaps into numbers."""
    seed = draw(st.integers(0, 9))
    kind = draw(st.sampled_from([*TREES, *BOOSTERS, *SMOOTH]))
    if kind in TREES:
        last = kind(draw(st.integers(1, 6)), max_depth=draw(st.integers(1, 7)), random_state=seed)
    elif kind is GradientBoostingClassifier:
        last = kind(n_estimators=draw(st.integers(1, 5)), random_state=seed)
    elif kind in BOOSTERS:
        last = kind(max_iter=draw(st.integers(1, 5)), min_samples_leaf=3, random_state=seed)
    elif kind is MLPClassifier:
        last = kind((draw(st.integers(1, 5)),), max_iter=5, random_state=seed)
    else:
        last = kind()
    return make_pipeline(_columns(draw), last)


def _columns(draw: st.DrawFn) -> ColumnTransformer:
    scaler = draw(st.sampled_from([StandardScaler(), MinMaxScaler()]))
    words = draw(
        st.sampled_from(
            [
                OneHotEncoder(handle_unknown="ignore"),
                OneHotEncoder(handle_unknown="error"),
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            ]
        )
    )
    strategy = draw(st.sampled_from(["mean", "median", "most_frequent"]))
    return ColumnTransformer(
        [
            ("gaps", make_pipeline(SimpleImputer(strategy=strategy), scaler), ["a", "b"]),
            ("words", words, ["word"]),
        ],
        remainder="passthrough",
        sparse_threshold=draw(st.sampled_from([0.0, 0.3])),
    )


def people(seed: int, classes: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers with few different values, so that thresholds are met; gaps in two columns; words; truth."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "a": generator.normal(size=ROWS).round(1),
            "b": generator.integers(0, 5, ROWS).astype(float),
            "c": generator.normal(size=ROWS).round(1),
            "word": generator.choice(["x", "y", "z"], ROWS),
            "flag": generator.random(ROWS) < 0.5,
        }
    )
    wanted = (np.arange(ROWS) + (rows["c"] > 0)) % classes
    rows.loc[generator.random(ROWS) < 0.1, "a"] = np.nan
    return rows, np.asarray(wanted)


NUMBERS = st.one_of(
    st.floats(-3, 3).map(lambda value: round(value, 1)),
    st.floats(width=32, allow_nan=False),
    st.floats(allow_nan=False),
    st.sampled_from([np.inf, -np.inf, 0.0, -0.0, 5e-324, 3.5e38, 1e300, None]),
)
QUESTIONS = st.fixed_dictionaries(
    {
        "a": NUMBERS,
        "b": NUMBERS,
        "c": NUMBERS,
        "word": st.sampled_from(["x", "y", "z"]) | st.text(st.characters(codec="utf-8"), max_size=2),
        "flag": st.booleans(),
    }
)


@pytest.mark.filterwarnings("ignore")  # of training that was cut short, and of numbers that are too large
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    estimator=estimators(),
    seed=st.integers(0, 5),
    classes=st.integers(2, 4),
    questions=st.lists(QUESTIONS, min_size=30, max_size=40),
)
def test_no_accepted_scorer_differs(
    tmp_path_factory: pytest.TempPathFactory,
    estimator: Any,
    seed: int,
    classes: int,
    questions: list[dict[str, Any]],
) -> None:
    folder = tmp_path_factory.mktemp("model")
    rows, wanted = people(seed, classes)
    joblib.dump(estimator.fit(rows, wanted), folder / "model.joblib")
    rows.to_parquet(folder / "sample.parquet")
    (folder / "store").mkdir()
    new = NewVersion(name="m", file=folder / "model.joblib", sample=folder / "sample.parquet")
    manifest = prepare(new, folder / "store")
    assert manifest.scorer is not None
    if manifest.scorer.kind is None:
        return
    compiled, sklearn = both(manifest, folder / "store")
    columns = manifest.signature.columns
    for question in questions:
        # as the checks give it: a number is a 64-bit float, also where it is missing
        asked = pa.table(
            {spec.name: pa.array([question[spec.name]], ARROW_KINDS[spec.kind]) for spec in columns}
        )
        same_answers(answered(compiled, asked), answered(sklearn, asked), manifest)
    many = table_of(rows.sample(300, replace=True, random_state=seed))
    same_answers(answered(compiled, many), answered(sklearn, many), manifest)


def both(manifest: Manifest, folder: Path) -> tuple[LoadedModel, LoadedModel]:
    """The version with its scorer for everything, and without."""
    assert manifest.scorer is not None
    record = manifest.scorer.model_copy(update={"scores_batches": True})
    compiled = load(manifest.model_copy(update={"scorer": record}), folder)
    return compiled, load(manifest.model_copy(update={"scorer": None}), folder)


def answered(model: LoadedModel, rows: Any) -> Any:
    """A table, or the words of a refusal."""
    try:
        return model.score(rows)
    except Exception as refusal:  # noqa: BLE001  # an estimator may raise anything
        return str(refusal)


def same_answers(found: Any, wanted: Any, manifest: Manifest) -> None:
    if isinstance(wanted, str) or isinstance(found, str):
        assert found == wanted
        return
    is_exact = manifest.scorer is not None and manifest.scorer.kind == "trees"
    names = wanted.column_names
    if manifest.task == "classification":
        assert found["prediction"].equals(wanted["prediction"])
        names = names[1:]
    for name in names:
        one, other = found[name].to_numpy(), wanted[name].to_numpy()
        if is_exact:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)

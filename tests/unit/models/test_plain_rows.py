"""The short way answers a row as the thorough way does, or leaves it alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from models.adding import NewVersion, prepare
from models.loading import LoadedModel, load
from models.payload import PayloadRefused, read_rows
from models.single import model_input

NAMES = ("age", "visits", "member", "city")
NUMBERS = NAMES[:3]
CITIES = ["Bonn", "Köln", "Ulm"]
LABELS = np.array(["stays", "goes"])


def people() -> pd.DataFrame:
    """A number, a whole number, a truth value and a text a row."""
    generator = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": generator.uniform(18, 90, 200),
            "visits": generator.integers(0, 30, 200),
            "member": generator.integers(0, 2, 200).astype(bool),
            "city": generator.choice(CITIES, 200),
        }
    )


def loaded(
    folder: Path, estimator: Any, names: Sequence[str] = NUMBERS, *, tied: bool = False
) -> LoadedModel:
    """A version of ``estimator``, fitted on these columns; ``tied`` makes all classes as likely."""
    rows = people()
    wanted = rows["age"] + rows["visits"] * rows["member"]
    is_regressor = isinstance(estimator, LinearRegression)
    given = rows[list(names)] if "city" in names else rows[list(names)].to_numpy(float)
    estimator.fit(given, wanted if is_regressor else LABELS[(wanted > 60).astype(int)])
    if tied:
        estimator.coef_[:], estimator.intercept_[:] = 0, 0
    file, sample, staging = folder / "model.joblib", folder / "sample.parquet", folder / "staging"
    folder.mkdir(exist_ok=True)
    joblib.dump(estimator, file)
    rows[list(names)].to_parquet(sample)
    staging.mkdir()
    return load(prepare(NewVersion(name="model", file=file, sample=sample), staging), staging)


def mixed() -> Any:
    """A pipeline that takes texts, and gaps in one column of numbers."""
    columns = [
        ("age", SimpleImputer(), ["age"]),
        ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ("rest", "passthrough", ["visits", "member"]),
    ]
    return make_pipeline(ColumnTransformer(columns), LogisticRegression(max_iter=1000))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[LoadedModel]:
    made = [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(8, random_state=0),
        LinearRegression(),
    ]
    found = [loaded(tmp_path_factory.mktemp("model"), estimator) for estimator in made]
    return [*found, loaded(tmp_path_factory.mktemp("model"), mixed(), NAMES)]


def thorough(model: LoadedModel, row: Any) -> dict[str, Any]:
    """Prediction and probabilities by name, as jobs get them. Raises PayloadRefused."""
    given_rows = model_input(model.manifest, read_rows({"features": row}, model.manifest.signature.names, 10))
    assert given_rows.warnings == []
    found: dict[str, Any] = model.score(given_rows.data).to_pylist()[0]
    return found


VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-100, 100),
    st.integers(-50, 200),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
)
RECORDS = st.fixed_dictionaries(
    {"age": VALUES, "visits": VALUES, "member": VALUES | st.booleans()},
    optional={"city": VALUES | st.sampled_from(CITIES)},
)
PLAIN = st.fixed_dictionaries(
    {
        "age": st.floats(20, 85),
        "visits": st.integers(2, 27),
        "member": st.booleans(),
        "city": st.sampled_from(CITIES),
    }
)
STRANGE = st.dictionaries(st.sampled_from([*NAMES, "other"]), VALUES, max_size=4)
LISTS = st.lists(VALUES | st.sampled_from(CITIES), max_size=4)


@settings(max_examples=150)
@given(row=st.one_of(PLAIN, RECORDS, STRANGE, LISTS), number=st.integers(0, 3))
def test_any_row_is_answered_alike_or_left_alone(models: list[LoadedModel], row: Any, number: int) -> None:
    model = models[number]
    answered = model.plain_rows.answer(row)
    if answered is None:
        return
    label, probabilities = answered
    wanted = thorough(model, row)  # a row that is refused there must not be answered here
    if probabilities:
        assert label == wanted["prediction"]
        by_class = [wanted[f"probability_{name}"] for name in model.plain_rows.class_names]
        np.testing.assert_allclose(probabilities, by_class, atol=1e-12, rtol=0)
    else:
        assert label == pytest.approx(wanted["prediction"], rel=1e-12)


@settings(max_examples=50)
@given(row=PLAIN, number=st.integers(0, 3))
def test_a_row_like_those_of_training_goes_the_short_way(
    models: list[LoadedModel], row: dict[str, Any], number: int
) -> None:
    model = models[number]
    row = {name: row[name] for name in model.manifest.signature.names}
    assert model.plain_rows.answer(row) is not None
    assert model.plain_rows.answer(list(row.values())) is not None


def test_a_gap_is_plain_where_the_model_takes_it(models: list[LoadedModel]) -> None:
    row = {"age": None, "visits": 3, "member": True, "city": "Köln"}
    assert models[3].plain_rows.answer(row) is not None
    assert models[3].plain_rows.answer({**row, "visits": None}) is None
    assert models[3].plain_rows.answer({**row, "city": "Aachen"}) is None  # taken, but with a warning


def test_a_tie_is_left_to_the_estimator(tmp_path: Path) -> None:
    row = {"age": 40.0, "visits": 3, "member": True}
    assert loaded(tmp_path / "a", LogisticRegression()).plain_rows.answer(row) is not None
    assert loaded(tmp_path / "b", LogisticRegression(), tied=True).plain_rows.answer(row) is None


@pytest.mark.parametrize(
    "row", [{}, {"age": 1.0, "visits": 1}, [1.0], {"age": 1.0, "visits": 1, "members": True}]
)
def test_a_row_of_another_shape_is_refused_by_the_thorough_way_only(
    models: list[LoadedModel], row: Any
) -> None:
    assert models[0].plain_rows.answer(row) is None
    with pytest.raises(PayloadRefused):
        thorough(models[0], row)

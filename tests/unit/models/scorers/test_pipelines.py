"""Compiled readers give the last step, to the last bit, what the pipeline's own transformers give it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from models.inputs import estimator_input
from models.manifest import ColumnSpec, Signature
from models.scorers.part import NotCompiled, Reader, Unsure
from models.scorers.pipelines import compile_pipeline
from tests.unit.models.scorers.people import (
    LABELS,
    NUMBERS,
    PAIR,
    TRAINING,
    WORDS,
    chain,
    column_transformers,
    fillers,
    matrix_signature,
    people,
    scalers,
    signature_of,
)


def fitted(transformer: Any, signature: Signature, table: pa.Table = TRAINING) -> Any:
    estimator = make_pipeline(transformer, LogisticRegression())
    estimator.steps[-1] = ("last", "passthrough")
    with warnings.catch_warnings(action="ignore"):
        estimator.fit(estimator_input(table, signature), LABELS[: table.num_rows])
    estimator.steps[-1] = ("last", LogisticRegression())
    return estimator


def wanted(estimator: Any, table: pa.Table, signature: Signature) -> np.ndarray | None:
    """What the last step is given; None if a transformer refuses it, or every last step would."""
    with warnings.catch_warnings(action="ignore"):
        try:
            made = estimator[:-1].transform(estimator_input(table, signature))
        except ValueError:
            return None
    if sparse.issparse(made) and np.isnan(made.sum()):
        return None
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def answered(reader: Reader, table: pa.Table) -> np.ndarray | None:
    try:
        return reader.matrix(table)
    except Unsure:
        return None


def answered_one(reader: Reader, table: pa.Table) -> np.ndarray | None:
    try:
        return reader.row(list(table.to_pylist()[0].values()))[None, :]
    except Unsure:
        return None


def check_equal(transformer: Any, signature: Signature, *, table: pa.Table = TRAINING, seed: int = 2) -> None:
    """On rows as in training, where it must not be unsure, and on odd ones, together and one by one."""
    estimator = fitted(transformer, signature, table)
    reader, last = compile_pipeline(estimator, signature)
    assert type(last) is LogisticRegression
    np.testing.assert_array_equal(answered(reader, table), wanted(estimator, table, signature))
    odd = people(40, seed, odd=True).select(table.column_names)
    for rows in (odd, odd.slice(0, 0)):
        found = answered(reader, rows)
        if found is not None:
            np.testing.assert_array_equal(found, wanted(estimator, rows, signature))
    for index in range(4):
        row = odd.slice(index, 1)
        expected = wanted(estimator, row, signature)
        for found in (answered(reader, row), answered_one(reader, row)):
            if found is None:
                continue
            assert expected is not None
            np.testing.assert_array_equal(found, expected)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_column_transformer_is_equal(data: Any) -> None:
    missing = data.draw(st.sampled_from(["nan", "none"]))
    transformer = data.draw(column_transformers(missing))
    check_equal(transformer, signature_of(missing), seed=data.draw(st.integers(0, 99)))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_pipeline_on_a_matrix_is_equal(data: Any) -> None:
    signature = matrix_signature(4)
    table = TRAINING.select(NUMBERS).rename_columns(list(signature.names))
    mark = data.draw(st.sampled_from([np.nan, 3.0]))
    filler = data.draw(fillers).set_params(missing_values=mark, strategy="median")
    if mark == 3.0:
        table = pa.table([column.fill_null(3.0) for column in table.columns], names=table.column_names)
    inner = data.draw(st.sampled_from(["passthrough", make_column_transformer((StandardScaler(), [0, 2]))]))
    transformer = chain(filler, *data.draw(scalers), inner, SelectKBest(k=2))
    estimator = fitted(transformer, signature, table)
    reader, _ = compile_pipeline(estimator, signature)
    odd = people(30, data.draw(st.integers(0, 99)), odd=True).select(NUMBERS)
    for rows in (table, odd.rename_columns(table.column_names)):
        found, expected = answered(reader, rows), wanted(estimator, rows, signature)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(answered_one(reader, rows), expected[:1])


def test_a_remainder_a_slice_and_a_mask_choose_columns() -> None:
    for columns in (slice("income", "rooms"), [True] * 4 + [False] * 3, slice(0, 4), [3, 2, 1, 0]):
        transformer = ColumnTransformer(
            [("numbers", SimpleImputer(), columns), ("words", OneHotEncoder(), WORDS)],
            remainder="passthrough",
        )
        check_equal(transformer, signature_of())


def test_columns_that_are_dropped_may_be_left_out() -> None:
    transformer = make_column_transformer((SimpleImputer(), ["score", "age"]), (OneHotEncoder(), ["plan"]))
    signature = signature_of()
    estimator = fitted(transformer, signature)
    fewer = Signature(**{**signature.model_dump(), "columns": signature.columns[1:]})
    reader, _ = compile_pipeline(estimator, fewer)
    table = TRAINING.drop_columns(["income"])
    np.testing.assert_array_equal(answered(reader, table), wanted(estimator, table, fewer))


def test_a_column_without_values_in_training_is_left_out() -> None:
    signature = matrix_signature(3)
    table = pa.table(
        [pa.nulls(9, pa.float64()), *TRAINING.slice(0, 9).select([0, 1]).columns], ["x0", "x1", "x2"]
    )
    estimator = fitted(SimpleImputer(add_indicator=True), signature, table)
    reader, _ = compile_pipeline(estimator, signature)
    np.testing.assert_array_equal(answered(reader, table), wanted(estimator, table, signature))


@pytest.mark.parametrize(
    "scaler", [StandardScaler(with_mean=False), MaxAbsScaler(), RobustScaler(with_centering=False)]
)
def test_sparse_columns_are_scaled_as_sparse(scaler: Any) -> None:
    encoded = make_column_transformer(
        (OneHotEncoder(), WORDS), (SimpleImputer(), NUMBERS), sparse_threshold=1.0
    )
    check_equal(make_pipeline(encoded, scaler), signature_of())


@pytest.mark.parametrize(
    "expander",
    [
        PolynomialFeatures(),
        PolynomialFeatures(3, include_bias=False),
        PolynomialFeatures((2, 4), interaction_only=True),
        KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"),
        KBinsDiscretizer(3, encode="onehot", strategy="uniform"),
        KBinsDiscretizer(4, encode="onehot-dense", strategy="kmeans"),
    ],
    ids=str,
)
def test_products_and_bins_are_equal(expander: Any) -> None:
    transformer = make_column_transformer((chain(SimpleImputer(), StandardScaler(), expander), NUMBERS))
    check_equal(transformer, signature_of())
    reader, _ = compile_pipeline(fitted(expander, matrix_signature(2), PAIR), matrix_signature(2))
    for bad in (np.nan, np.inf):
        rows = pa.table({"x0": [bad], "x1": [1.0]})
        assert answered(reader, rows) is None
        assert answered_one(reader, rows) is None


@pytest.mark.parametrize("target", ["binary", "continuous"])
def test_means_of_the_target_are_equal(target: str) -> None:
    check_equal(
        make_column_transformer((TargetEncoder(target_type=target), [*WORDS, "rooms"])), signature_of()
    )


def test_a_search_stands_for_its_best_and_pipelines_may_be_nested() -> None:
    signature = matrix_signature(2)
    table = TRAINING.select(["score", "age"]).rename_columns(["x0", "x1"])
    data = estimator_input(table, signature)
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=2)
    estimator = Pipeline([("first", make_pipeline(MinMaxScaler(), MaxAbsScaler())), ("last", search)])
    estimator.fit(data, LABELS)
    reader, last = compile_pipeline(estimator, signature)
    assert last is search.best_estimator_[-1]
    expected = search.best_estimator_[:-1].transform(estimator[:-1].transform(data))
    np.testing.assert_array_equal(reader.matrix(table), expected)


@pytest.mark.parametrize("dtype", ["string", "category"])
def test_boosters_get_their_own_codes_of_categories(dtype: Any) -> None:
    signature = signature_of()
    columns = [
        spec.model_copy(update={"dtype": dtype}) if spec.kind == "string" else spec
        for spec in signature.columns
    ]
    signature = signature.model_copy(update={"columns": tuple(columns)})
    chosen = "from_dtype" if dtype == "category" else [*WORDS, "rooms"]
    booster = HistGradientBoostingClassifier(max_iter=2, categorical_features=chosen)
    booster.fit(estimator_input(TRAINING, signature), LABELS)
    reader, last = compile_pipeline(booster, signature)
    assert last is booster
    infinite = people(40, 3, odd=True).set_column(1, "score", pa.array([np.inf] * 40))
    for rows in (TRAINING, people(40, 3, odd=True), infinite):
        expected = booster._preprocessor.transform(estimator_input(rows, signature))
        np.testing.assert_array_equal(answered(reader, rows), expected)
        np.testing.assert_array_equal(answered_one(reader, rows), expected[:1])


def test_infinities_are_left_to_the_estimator() -> None:
    signature = signature_of()
    imputer = SimpleImputer(strategy="constant", fill_value=0)
    branches = [(imputer, ["income"]), (MinMaxScaler(clip=True), ["score"]), (OrdinalEncoder(), ["rooms"])]
    reader, _ = compile_pipeline(fitted(make_column_transformer(*branches), signature), signature)
    for name in ("income", "score", "rooms"):
        position = TRAINING.schema.get_field_index(name)
        for bad in (np.inf, -np.inf):
            rows = TRAINING.slice(0, 1).set_column(position, name, pa.array([bad]))
            assert answered(reader, rows) is None
            assert answered_one(reader, rows) is None
    huge = TRAINING.slice(0, 1).set_column(1, "score", pa.array([1e200]))  # its square is infinite, it is not
    assert answered_one(reader, huge) is not None


def test_a_gap_beside_the_number_that_means_one_is_left_to_the_estimator() -> None:
    signature = matrix_signature(2)
    estimator = fitted(SimpleImputer(missing_values=30.0), signature, PAIR)
    reader, _ = compile_pipeline(estimator, signature)
    rows = pa.table({"x0": [1.0], "x1": pa.nulls(1, pa.float64())})
    assert wanted(estimator, rows, signature) is None
    assert answered(reader, rows) is None
    assert answered_one(reader, rows) is None


def test_a_gap_in_a_sparse_matrix_is_left_to_the_estimator() -> None:
    """Forests take gaps, but not in sparse matrices."""
    signature = signature_of()
    encoded = make_column_transformer(
        (OneHotEncoder(), ["plan"]), ("passthrough", ["age"]), sparse_threshold=1.0
    )
    estimator = make_pipeline(encoded, RandomForestClassifier(2))
    estimator.fit(estimator_input(TRAINING, signature), LABELS)
    reader, _ = compile_pipeline(estimator, signature)
    rows = TRAINING.slice(0, 1).set_column(2, "age", pa.nulls(1, pa.float64()))
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(estimator_input(rows, signature))
    assert answered(reader, rows) is None
    assert answered_one(reader, rows) is None


def test_a_gap_that_a_selector_refuses_is_left_to_the_estimator() -> None:
    signature = matrix_signature(2)
    estimator = fitted(SelectKBest(k=1), signature, PAIR)
    reader, _ = compile_pipeline(estimator, signature)
    for name in PAIR.column_names:  # also in the column that is not chosen
        rows = PAIR.slice(0, 1).set_column(PAIR.schema.get_field_index(name), name, pa.nulls(1, pa.float64()))
        assert wanted(estimator, rows, signature) is None
        assert answered(reader, rows) is None
        assert answered_one(reader, rows) is None


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=str)
def test_a_gap_that_an_encoder_refuses_is_left_to_the_estimator(encoder: Any) -> None:
    signature = signature_of()
    estimator = fitted(make_column_transformer((encoder, ["plan"])), signature)
    reader, _ = compile_pipeline(estimator, signature)
    rows = TRAINING.slice(0, 2).set_column(5, "plan", pa.array(["a", None]))
    assert wanted(estimator, rows, signature) is None
    assert answered(reader, rows) is None
    assert answered_one(reader, rows.slice(1)) is None


@pytest.mark.parametrize("trained_with", ["nan", "none"])
@pytest.mark.parametrize("asked_with", ["nan", "none"])
def test_a_gap_is_the_category_that_it_was_in_training(trained_with: str, asked_with: str) -> None:
    """A missing text reaches encoders as NaN or as None, and only one of them is a category."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    estimator = fitted(make_column_transformer((encoder, ["town"])), signature_of(trained_with))
    signature = signature_of(asked_with)
    reader, _ = compile_pipeline(estimator, signature)
    rows = TRAINING.slice(0, 2).set_column(4, "town", pa.array([None, "Rom"]))
    expected = wanted(estimator, rows, signature)
    assert expected is not None
    np.testing.assert_array_equal(answered(reader, rows), expected)
    np.testing.assert_array_equal(answered_one(reader, rows), expected[:1])


def test_a_missing_boolean_is_left_to_the_estimator() -> None:
    signature = signature_of()
    transformer = make_column_transformer((StandardScaler(), ["age"]), ("passthrough", ["member"]))
    reader, _ = compile_pipeline(fitted(transformer, signature), signature)
    rows = TRAINING.slice(0, 1).set_column(6, "member", pa.nulls(1, pa.bool_()))
    assert answered(reader, rows) is None
    assert answered_one(reader, rows) is None


def test_a_filler_that_refuses_whole_numbers_is_not_compiled() -> None:
    signature = signature_of()
    gaps = TRAINING.set_column(2, "age", pa.array([None, *[30.0] * (len(TRAINING) - 1)]))
    filler = SimpleImputer(strategy="constant", fill_value=0)
    estimator = fitted(make_column_transformer((filler, ["age"])), signature, gaps)
    assert wanted(estimator, gaps.slice(1, 3), signature) is None
    with pytest.raises(NotCompiled, match="a constant fraction"):
        compile_pipeline(estimator, signature)


class OwnScaler(StandardScaler):  # type: ignore[misc]  # scikit-learn ships no types
    """A class of one's own may compute anything."""


@pytest.mark.parametrize(
    ("transformer", "reason"),
    [
        (OwnScaler(), "no compiled form of OwnScaler"),
        (PowerTransformer(), "no compiled form of PowerTransformer"),
        (FunctionTransformer(np.log1p), "no compiled form of FunctionTransformer"),
        (OneHotEncoder(dtype=np.float32), "type float32"),
        (SimpleImputer(missing_values=pd.NA), "fills <NA>"),
        (make_column_transformer((StandardScaler(), ["age"]), ("passthrough", ["plan"])), "texts of 'plan'"),
        (
            make_column_transformer((SimpleImputer(strategy="most_frequent"), ["member", "age"])),
            "on booleans",
        ),
        (ColumnTransformer([("a", StandardScaler(), ["age"])], transformer_weights={"a": 2}), "weights"),
    ],
    ids=str,
)
def test_what_is_not_known_exactly_is_not_compiled(transformer: Any, reason: str) -> None:
    signature = signature_of()
    estimator = make_pipeline(make_column_transformer((transformer, ["age"])), LogisticRegression())
    if isinstance(transformer, ColumnTransformer):
        estimator = make_pipeline(transformer, LogisticRegression())
    estimator[:-1].fit(estimator_input(TRAINING, signature), LABELS)
    with pytest.raises(NotCompiled, match=reason):
        compile_pipeline(estimator, signature)


@pytest.mark.parametrize(
    "first", [StandardScaler(), SimpleImputer(), SelectKBest(k=1), OrdinalEncoder()], ids=str
)
def test_a_step_of_other_columns_is_not_compiled(first: Any) -> None:
    estimator = fitted(first, matrix_signature(2), PAIR)
    with pytest.raises(NotCompiled, match="other columns"):
        compile_pipeline(estimator, matrix_signature(3))


def test_texts_have_no_reader() -> None:
    column = ColumnSpec(name="text", kind="string", dtype="string")
    signature = Signature(kind="text", named=False, input="texts", columns=(column,))
    with pytest.raises(NotCompiled, match="texts"):
        compile_pipeline(LogisticRegression(), signature)

"""Columns of words, gaps and categories reach the estimator as they did in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from models.errors import SignatureRefused
from models.manifest import ColumnSpec
from tests.unit.models.making import added, saved_csv, table_of

GENERATOR = np.random.default_rng(0)
ROWS = 200
PEOPLE = pd.DataFrame(
    {
        "age": GENERATOR.integers(18, 90, ROWS),
        "income": np.where(GENERATOR.random(ROWS) < 0.1, np.nan, GENERATOR.normal(3000, 900, ROWS)),
        "town": GENERATOR.choice(["Ulm", "Bern", "Graz"], ROWS),
        "plan": GENERATOR.choice(np.array(["a", "b", None], dtype=object), ROWS, p=[0.45, 0.45, 0.1]),
        "member": GENERATOR.random(ROWS) < 0.5,
    }
)
LEFT = np.where(PEOPLE["age"] + GENERATOR.normal(0, 9, ROWS) > 50, "left", "stayed")


def preparation(**encoder: Any) -> ColumnTransformer:
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
        (OneHotEncoder(**encoder), ["town", "plan"]),
        ("passthrough", ["member"]),
    )


def columns_of(model: Any) -> dict[str, ColumnSpec]:
    return {spec.name: spec for spec in model.manifest.signature.columns}


@pytest.mark.parametrize("with_sample", [True, False])
def test_a_pipeline_on_a_frame_answers_as_in_process(tmp_path: Path, with_sample: bool) -> None:
    estimator = make_pipeline(preparation(), RandomForestClassifier(10, random_state=0)).fit(PEOPLE, LEFT)
    options = {"sample": saved_csv(tmp_path, PEOPLE)} if with_sample else {}
    model = added(tmp_path, estimator, **options)
    assert model.manifest.signature.input == "frame"
    columns = columns_of(model)
    assert [columns[name].kind for name in ("age", "town", "plan")] == ["number", "string", "string"]
    table = table_of(PEOPLE if with_sample else PEOPLE.astype({"member": float}))
    answer = model.score(table)
    assert answer["prediction"].to_pylist() == estimator.predict(PEOPLE).tolist()
    assert np.array_equal(answer["probability_left"].to_numpy(), estimator.predict_proba(PEOPLE)[:, 0])


def test_a_sample_gives_types_ranges_and_an_example(tmp_path: Path) -> None:
    estimator = make_pipeline(preparation(), LogisticRegression()).fit(PEOPLE, LEFT)
    sample = saved_csv(tmp_path, PEOPLE.assign(left=LEFT, note="x"))
    model = added(tmp_path, estimator, sample=sample, targets=["left"])
    columns = columns_of(model)
    assert list(columns) == list(PEOPLE.columns)
    assert [columns[name].dtype for name in columns] == ["int64", "float64", "string", "string", "bool"]
    assert (columns["age"].minimum, columns["age"].maximum) == (PEOPLE["age"].min(), PEOPLE["age"].max())
    assert columns["town"].categories == ("Bern", "Graz", "Ulm")
    example = model.manifest.example
    assert example is not None
    assert list(example) == list(PEOPLE.columns)
    assert None not in example.values()
    assert model.manifest.targets[0].name == "left"


def test_what_is_refused_depends_on_the_estimator_not_on_the_sample(tmp_path: Path) -> None:
    complete = PEOPLE.assign(plan=PEOPLE["plan"].fillna("a"))
    strict = make_pipeline(preparation(handle_unknown="error"), LogisticRegression()).fit(complete, LEFT)
    easy = make_pipeline(preparation(handle_unknown="ignore"), LogisticRegression()).fit(complete, LEFT)
    sample = saved_csv(tmp_path, complete)
    refused, taken = (
        columns_of(added(tmp_path / name, each, sample=sample)) for name, each in (("a", strict), ("b", easy))
    )
    assert [refused[name].accepts_null for name in ("age", "income", "town")] == [True, True, False]
    assert not refused["town"].accepts_unseen
    assert refused["town"].categories_from == "estimator"
    assert taken["town"].accepts_null
    assert taken["town"].accepts_unseen
    assert not taken["age"].accepts_infinite
    assert refused["age"].accepts_unseen


def test_missing_words_are_written_as_in_training(tmp_path: Path) -> None:
    words = PEOPLE[["town", "plan"]]
    with_none = words.astype(object).where(words.notna(), None)
    for name, frame in {"nan": words.astype("str"), "none": with_none}.items():
        estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, LEFT)
        model = added(tmp_path / name, estimator, sample=saved_csv(tmp_path, words))
        plan = columns_of(model)["plan"]
        assert (plan.missing, plan.accepts_null, plan.categories) == (name, True, ("a", "b"))
        answer = model.score(table_of(words))
        assert np.array_equal(answer["probability_left"].to_numpy(), estimator.predict_proba(frame)[:, 0])


def test_an_imputer_that_looks_for_none_gets_none(tmp_path: Path) -> None:
    words = PEOPLE[["plan"]].astype(object).where(PEOPLE[["plan"]].notna(), None)
    imputer = SimpleImputer(missing_values=None, strategy="most_frequent")
    estimator = make_pipeline(imputer, OneHotEncoder(), LogisticRegression()).fit(words, LEFT)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, words))
    assert columns_of(model)["plan"].missing == "none"
    answer = model.score(table_of(words))
    assert np.array_equal(answer["probability_left"].to_numpy(), estimator.predict_proba(words)[:, 0])


def test_pandas_categories_come_back_as_categories(tmp_path: Path) -> None:
    frame = PEOPLE.assign(town=PEOPLE["town"].astype("category"), plan=PEOPLE["plan"].astype("category"))
    estimator = HistGradientBoostingClassifier(max_iter=10).fit(frame, LEFT)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, PEOPLE))
    columns = columns_of(model)
    assert [columns[name].dtype for name in ("town", "plan")] == ["category", "category"]
    assert columns["town"].accepts_unseen
    answer = model.score(table_of(PEOPLE.iloc[::-1]))
    assert np.array_equal(
        answer["probability_left"].to_numpy(), estimator.predict_proba(frame.iloc[::-1])[:, 0]
    )
    assert model.score(table_of(PEOPLE.assign(town="Wien"))).num_rows == ROWS


def test_digits_that_were_trained_as_words_stay_words(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": np.where(PEOPLE["age"] > 50, "01234", "99999"), "age": PEOPLE["age"]})
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["zip"]), remainder="passthrough"), LogisticRegression()
    ).fit(frame, LEFT)
    model = added(tmp_path, pipeline, sample=saved_csv(tmp_path, frame))
    assert columns_of(model)["zip"].categories == ("01234", "99999")
    assert model.score(table_of(frame))["prediction"].to_pylist() == pipeline.predict(frame).tolist()


def test_numbers_that_are_categories_know_which(tmp_path: Path) -> None:
    frame = pd.DataFrame({"floor": GENERATOR.integers(0, 4, ROWS), "age": PEOPLE["age"]})
    encoder = make_column_transformer((OneHotEncoder(), ["floor"]), remainder="passthrough")
    model = added(tmp_path, make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(frame, LEFT))
    floor = columns_of(model)["floor"]
    assert (floor.kind, floor.dtype, floor.categories, floor.accepts_unseen) == (
        "number",
        "int64",
        (0, 1, 2, 3),
        False,
    )


def test_columns_that_a_pipeline_drops_need_not_be_sent(tmp_path: Path) -> None:
    frame = PEOPLE.assign(id=np.arange(ROWS), left=LEFT)
    estimator = make_pipeline(preparation(), LogisticRegression()).fit(frame, LEFT)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, PEOPLE))
    assert model.manifest.signature.names == ("age", "income", "town", "plan", "member")
    assert model.score(table_of(PEOPLE))["prediction"].to_pylist() == estimator.predict(frame).tolist()


def test_an_array_of_words_without_names_works_by_position(tmp_path: Path) -> None:
    words = PEOPLE[["town"]].to_numpy(dtype=object)
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(words, LEFT)
    model = added(tmp_path, estimator)
    (column,) = model.manifest.signature.columns
    assert (column.name, column.kind) == ("x0", "string")
    answer = model.score(pa.table({"x0": PEOPLE["town"].tolist()}))
    assert answer["prediction"].to_pylist() == estimator.predict(words).tolist()


def test_columns_chosen_by_position_slice_or_mask_are_followed(tmp_path: Path) -> None:
    chosen: list[Any] = [[1], slice(1, 2), [False, True], slice("town", "town")]
    frame = PEOPLE[["age", "town"]]
    for number, columns in enumerate(chosen):
        encoder = make_column_transformer((OrdinalEncoder(), columns), remainder="passthrough")
        model = added(tmp_path / str(number), make_pipeline(encoder, LogisticRegression()).fit(frame, LEFT))
        assert [spec.kind for spec in model.manifest.signature.columns] == ["number", "string"]


def test_encoders_are_found_inside_searches_and_unions(tmp_path: Path) -> None:
    union = FeatureUnion([("one hot", OneHotEncoder()), ("ordinal", OrdinalEncoder())])
    search = GridSearchCV(make_pipeline(union, LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2)
    model = added(tmp_path, search.fit(PEOPLE[["town"]], LEFT))
    assert columns_of(model)["town"].categories == ("Bern", "Graz", "Ulm")


def test_a_frame_is_kept_where_a_step_needs_it(tmp_path: Path) -> None:
    numbers = PEOPLE[["age"]]
    step = FunctionTransformer(pd.DataFrame.abs)
    estimator = make_pipeline(step, LogisticRegression()).fit(numbers, LEFT)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, numbers))
    assert model.manifest.signature.input == "frame"
    assert model.score(table_of(numbers))["prediction"].to_pylist() == estimator.predict(numbers).tolist()


def test_whole_numbers_are_given_as_integers_until_one_is_not_whole(tmp_path: Path) -> None:
    numbers = PEOPLE[["age"]]
    step = make_pipeline(
        FunctionTransformer(pd.DataFrame.astype, kw_args={"dtype": str}),
        OneHotEncoder(handle_unknown="ignore"),
    )
    estimator = make_pipeline(step, LogisticRegression()).fit(numbers, LEFT)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, numbers))
    assert model.score(table_of(numbers))["prediction"].to_pylist() == estimator.predict(numbers).tolist()
    assert model.score(pa.table({"age": [30.5]})).num_rows == 1


def test_rows_with_gaps_in_the_sample_do_no_harm(tmp_path: Path) -> None:
    complete = PEOPLE.dropna()
    frame = complete[["age", "income"]]
    estimator = LogisticRegression(max_iter=1000).fit(frame, LEFT[complete.index])
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, PEOPLE[["age", "income"]]))
    assert [spec.accepts_null for spec in model.manifest.signature.columns] == [False, False]
    assert model.manifest.example == frame.iloc[0].to_dict()


def test_each_column_of_many_is_judged_for_itself(tmp_path: Path) -> None:
    frame = pd.DataFrame(GENERATOR.normal(size=(ROWS, 40)), columns=[f"c{i}" for i in range(40)])
    filled = [f"c{i}" for i in range(0, 40, 3)]
    steps = make_column_transformer((SimpleImputer(), filled), remainder="passthrough")
    model = added(tmp_path, make_pipeline(steps, LogisticRegression()).fit(frame, LEFT))
    assert [name for name, spec in columns_of(model).items() if spec.accepts_null] == filled


def test_a_date_in_the_sample_is_told_only_if_the_model_needs_it(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": PEOPLE["age"], "when": pd.to_datetime("2026-01-01")})
    sample = tmp_path / "sample.parquet"
    frame.to_parquet(sample)
    estimator = LogisticRegression(max_iter=1000).fit(frame[["age"]], LEFT)
    assert added(tmp_path / "a", estimator, sample=sample).manifest.signature.names == ("age",)
    by_day = make_column_transformer(
        (FunctionTransformer(pd.DataFrame.astype, kw_args={"dtype": int}), ["when"])
    )
    needing = make_pipeline(by_day, LogisticRegression()).fit(frame, LEFT)
    with pytest.raises(SignatureRefused, match="'when' is of type timestamp") as refused:
        added(tmp_path / "b", needing, sample=sample)
    assert refused.value.code == "unusable_column"


def test_text_in_a_column_transformer_works(tmp_path: Path) -> None:
    texts = pd.DataFrame({"text": ["good thing", "bad thing"] * 5, "n": range(10)})
    counts = make_column_transformer((CountVectorizer(), "text"), remainder="passthrough")
    estimator = make_pipeline(counts, MultinomialNB()).fit(texts, [1, 0] * 5)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, texts))
    assert model.score(table_of(texts))["prediction"].to_pylist() == estimator.predict(texts).tolist()

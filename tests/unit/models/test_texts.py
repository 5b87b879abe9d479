"""Models of bare texts: told apart from those of tables, and given exactly what was sent."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from models.errors import ModelError, SignatureRefused
from models.loading import LoadedModel
from models.payload import read_rows
from models.rules import check
from models.signature import match_columns
from models.single import model_input
from models.texts import EXAMPLE_CHARACTERS
from tests.unit.models.making import added, saved_csv

TEXTS = [
    f"good, kind and warm, number {i}" if i % 2 else f"bad, cold and late, number {i}" for i in range(40)
]
MOODS = ["glad", "sad"] * 20
FRAME = pd.DataFrame({"review": TEXTS, "mood": MOODS})
CLEANING = """
def of_any(texts):
    return [text.lower().replace("good", "splendid") for text in texts]

def of_series(texts):
    return texts.str.lower()

def of_frame(table):
    return table["review"]
"""


@pytest.fixture
def cleaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's own module, importable as in a training script."""
    (tmp_path / "my_cleaning.py").write_text(CLEANING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("my_cleaning")
    sys.modules.pop("my_cleaning", None)


def pipeline(*steps: Any) -> Any:
    return make_pipeline(*steps, LogisticRegression()).fit(FRAME["review"], MOODS)


def of(texts: Sequence[str | None], name: str = "review") -> pa.Table:
    return pa.table({name: pa.array(texts, pa.string())})


@pytest.mark.parametrize(
    "vectorizer",
    [
        CountVectorizer(),
        TfidfVectorizer(),
        HashingVectorizer(),
        make_union(TfidfVectorizer(), CountVectorizer()),
    ],
    ids=["counts", "tf-idf", "hashes", "union"],
)
@pytest.mark.parametrize("with_sample", [True, False])
def test_a_vectorizer_in_front_is_known(tmp_path: Path, vectorizer: Any, with_sample: bool) -> None:
    estimator = pipeline(vectorizer)
    given: dict[str, Any] = {"sample": saved_csv(tmp_path, FRAME), "targets": ["mood"]} if with_sample else {}
    model = added(tmp_path, estimator, **given)
    signature = model.manifest.signature
    name = "review" if with_sample else "text"
    assert (signature.kind, signature.input, signature.names) == ("text", "texts", (name,))
    assert not signature.columns[0].accepts_null
    assert list(model.manifest.example or {}) == [name]
    answer = model.score(of(list(TEXTS), name))
    assert answer["prediction"].to_pylist() == estimator.predict(TEXTS).tolist()
    found = np.column_stack([answer[f"probability_{mood}"].to_numpy() for mood in ("glad", "sad")])
    assert np.array_equal(found, estimator.predict_proba(TEXTS))


@pytest.mark.parametrize(("step", "form"), [("of_any", "texts"), ("of_series", "series")])
def test_own_steps_before_the_vectorizer_are_tried(
    tmp_path: Path, cleaning: Any, step: str, form: str
) -> None:
    estimator = pipeline(FunctionTransformer(getattr(cleaning, step)), TfidfVectorizer())
    code = tmp_path / "my_cleaning.py"
    sample = saved_csv(tmp_path, FRAME)
    model = added(tmp_path / "m", estimator, sample=sample, targets=["mood"], code=code)
    assert (model.manifest.signature.kind, model.manifest.signature.input) == ("text", form)
    assert model.score(of(list(TEXTS)))["prediction"].to_pylist() == MOODS


def test_a_search_over_pipelines_of_texts(tmp_path: Path) -> None:
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2
    )
    assert added(tmp_path, search.fit(TEXTS, MOODS)).manifest.signature.kind == "text"


def test_a_regression_on_texts(tmp_path: Path) -> None:
    lengths = [float(len(text)) for text in TEXTS]
    model = added(tmp_path, make_pipeline(CountVectorizer(), Ridge()).fit(TEXTS, lengths))
    assert model.manifest.task == "regression"
    assert (
        model.score(of(TEXTS[:5], "text"))["prediction"].to_pylist()
        == model.estimator.predict(TEXTS[:5]).tolist()
    )


def test_a_step_that_picks_a_column_makes_it_a_table(tmp_path: Path, cleaning: Any) -> None:
    picking = make_pipeline(FunctionTransformer(cleaning.of_frame), CountVectorizer(), LogisticRegression())
    sample = saved_csv(tmp_path, FRAME)
    code = tmp_path / "my_cleaning.py"
    picking.fit(FRAME[["review"]], MOODS)
    model = added(tmp_path / "m", picking, sample=sample, targets=["mood"], code=code)
    assert model.manifest.signature.kind == "table"


def test_a_column_transformer_makes_it_a_table(tmp_path: Path) -> None:
    counts = make_column_transformer((CountVectorizer(), "review"))
    estimator = make_pipeline(counts, LogisticRegression()).fit(FRAME[["review"]], MOODS)
    model = added(tmp_path, estimator, sample=saved_csv(tmp_path, FRAME), targets=["mood"])
    assert model.manifest.signature.kind == "table"


def test_text_asked_for_without_any_vectorizer(tmp_path: Path, cleaning: Any) -> None:
    counting = FunctionTransformer(cleaning.of_any)
    estimator = make_pipeline(counting, HashingVectorizer(n_features=8), LogisticRegression())
    code = tmp_path / "my_cleaning.py"
    model = added(tmp_path / "m", estimator.fit(TEXTS, MOODS), text="body", code=code)
    assert model.manifest.signature.names == ("body",)
    assert model.manifest.signature.kind == "text"


@pytest.mark.parametrize(
    ("frame", "options", "code", "words"),
    [
        ({"title": TEXTS, "body": TEXTS}, {}, "text_column", r"title, body.*--text COLUMN"),
        ({"length": range(40)}, {}, "text_column", "no column of text"),
        ({"review": TEXTS}, {"text": "reviews"}, "missing_column", "'reviews' .nearest: review"),
        ({"review": TEXTS}, {"columns": ["review"]}, "columns_conflict", "--text, not --columns"),
        ({"review": [None, "  "]}, {"text": "review"}, "bad_sample", "no text in its first rows"),
    ],
)
def test_what_cannot_be_told_is_asked(
    tmp_path: Path, frame: Any, options: dict[str, Any], code: str, words: str
) -> None:
    sample = saved_csv(tmp_path, pd.DataFrame(frame))
    with pytest.raises(SignatureRefused, match=words) as refused:
        added(tmp_path, pipeline(TfidfVectorizer()), sample=sample, **options)
    assert refused.value.code == code


def test_the_column_called_text_is_taken_of_several(tmp_path: Path) -> None:
    sample = saved_csv(tmp_path, pd.DataFrame({"title": TEXTS, "text": TEXTS}))
    assert added(tmp_path, pipeline(TfidfVectorizer()), sample=sample).manifest.signature.names == ("text",)


def test_a_column_of_digits_is_text_where_it_is_named(tmp_path: Path) -> None:
    sample = saved_csv(tmp_path, pd.DataFrame({"code": [str(number) for number in range(100, 140)]}))
    model = added(tmp_path, pipeline(TfidfVectorizer()), sample=sample, text="code")
    assert model.manifest.example == {"code": "100"}


def test_a_model_that_fails_on_texts_and_on_tables_says_both(tmp_path: Path, cleaning: Any) -> None:
    broken = make_pipeline(FunctionTransformer(cleaning.of_any), HashingVectorizer(), LogisticRegression())
    broken.fit(TEXTS, MOODS)[0].func = cleaning.of_frame  # neither has a column of this name
    sample = saved_csv(tmp_path, FRAME.rename(columns={"review": "words"}))
    with pytest.raises(ModelError, match="bare texts it failed too") as refused:
        added(tmp_path / "m", broken, sample=sample, targets=["mood"], code=tmp_path / "my_cleaning.py")
    assert refused.value.code == "cannot_score_sample"


def test_very_long_texts_are_tried_in_few_rows_and_shown_cut(tmp_path: Path) -> None:
    long = pd.DataFrame({"text": [" ".join(TEXTS) * 200] * 8})
    long.to_parquet(tmp_path / "sample.parquet")
    model = added(tmp_path, pipeline(TfidfVectorizer()), sample=tmp_path / "sample.parquet")
    example = model.manifest.example or {}
    assert len(example["text"]) == EXAMPLE_CHARACTERS


def test_longer_texts_cost_more(tmp_path: Path) -> None:
    model = added(tmp_path, pipeline(TfidfVectorizer()), sample=saved_csv(tmp_path, FRAME), text="review")
    assert 1e-9 < model.manifest.byte_cost_seconds < 1e-5
    assert 0 <= model.manifest.row_cost_seconds < 1e-2


def test_words_weigh_under_their_own_names(tmp_path: Path, cleaning: Any) -> None:
    code = tmp_path / "my_cleaning.py"
    estimator = pipeline(FunctionTransformer(cleaning.of_any), TfidfVectorizer())
    words = coefficients(added(tmp_path / "one", estimator, code=code, text="review"))
    assert set(list(words)[:6]) == {"splendid", "kind", "warm", "bad", "cold", "late"}
    union = pipeline(make_union(TfidfVectorizer(), CountVectorizer(ngram_range=(2, 2))))
    assert "countvectorizer__bad cold" in coefficients(added(tmp_path / "two", union))


def coefficients(model: LoadedModel) -> dict[str, float]:
    assert model.manifest.weights is not None
    found: dict[str, float] = model.manifest.weights["coefficients"]
    return found


@pytest.fixture(scope="module")
def hashing(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model that tells any two texts apart: character n-grams, nothing changed before."""
    characters = HashingVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False)
    return added(tmp_path_factory.mktemp("hashing"), pipeline(characters))


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip() != ""
)


@given(st.lists(ANY_TEXT, min_size=1, max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_reaches_the_model_as_it_was_sent(hashing: LoadedModel, texts: list[str]) -> None:
    sent = read_rows({"texts": texts}, ("text",), 1000, texts=True)
    table = model_input(hashing.manifest, sent).data
    assert isinstance(table, pa.Table)
    assert table["text"].to_pylist() == texts
    answer = hashing.score(table)
    assert np.array_equal(answer["probability_glad"].to_numpy(), hashing.estimator.predict_proba(texts)[:, 0])
    for row, text in enumerate(texts):  # alone, a text is answered to the bit as among others
        alone = read_rows({"text": text}, ("text",), 1, texts=True)
        assert hashing.score(model_input(hashing.manifest, alone).data).equals(answer.slice(row, 1))


BLANKS = ["", " ", "\t\r\n", "\u00a0", "\u3000\u2003", "\u2028", "\x0b\x0c"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_text_of_nothing_is_refused(hashing: LoadedModel, blank: str) -> None:
    issues = check(hashing.manifest.signature, of(["good", blank, None, f"{blank}."], "text")).refused
    assert [(issue.row, issue.code) for issue in issues] == [(1, "empty_text"), (2, "missing_value")]


def test_the_column_is_found_by_name_or_alone(hashing: LoadedModel) -> None:
    signature = hashing.manifest.signature
    assert match_columns(signature, ["id", "text"]).positions == (1,)
    assert match_columns(signature, ["review"]).by == "position"
    assert match_columns(signature, ["x0"], headerless=True).positions == (0,)
    several = match_columns(signature, ["id", "Text"])
    assert [(problem.code, problem.nearest) for problem in several.problems] == [("missing_column", "Text")]
    assert match_columns(signature, ["x0", "x1"], headerless=True).problems[0].code == "column_count"


def test_a_parquet_sample_of_dictionaries(tmp_path: Path) -> None:
    table = pa.table({"review": pa.array(TEXTS).dictionary_encode()})
    pq.write_table(table, tmp_path / "sample.parquet")
    model = added(tmp_path, pipeline(TfidfVectorizer()), sample=tmp_path / "sample.parquet")
    assert model.manifest.signature.names == ("review",)

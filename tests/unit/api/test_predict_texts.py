"""POST /predict for models of bare texts: every shape, any characters, and what is refused where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import pytest

from tests.unit.api.conftest import Client

TEXTS = ["a good day", "Über bad night 🌧️", "第三の夜", 'she said "so, so"\nand left', "\x00 \u200d\U0010ffff"]


def expected(stocked: Path, texts: list[str]) -> list[dict[str, Any]]:
    """What the estimator itself answers."""
    model = joblib.load(stocked / "models" / "moods" / "1" / "model.joblib")
    rows = [dict(zip(model.classes_, row, strict=True)) for row in model.predict_proba(texts).tolist()]
    return [
        {"prediction": label, "confidence": max(row.values()), "probabilities": row}
        for label, row in zip(model.predict(texts).tolist(), rows, strict=True)
    ]


@pytest.mark.parametrize(
    "shape",
    [
        lambda text: {"text": text},
        lambda text: {"text": text, "key": "mail 7"},
        lambda text: {"features": text},
        lambda text: {"features": [text]},
        lambda text: {"features": {"review": text}},
    ],
)
@pytest.mark.parametrize("text", TEXTS)
def test_one_text(client: Client, stocked: Path, shape: Any, text: str) -> None:
    answer = client.post("/predict", json={"model": "moods", **shape(text)})
    assert answer.json == {"model": {"name": "moods", "version": 1}, **expected(stocked, [text])[0]}


def test_a_bare_record_under_the_name_of_the_column(client: Client, stocked: Path) -> None:
    answer = client.post("/predict?model=moods", json={"review": "so good"})
    assert answer.json["probabilities"] == expected(stocked, ["so good"])[0]["probabilities"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda texts: {"texts": texts},
        lambda texts: {"instances": texts},
        lambda texts: {"samples": [{"review": text} for text in texts]},
        lambda texts: {"data": [[text] for text in texts]},
        lambda texts: {"inputs": texts},
        lambda texts: {"inputs": {"review": texts}},
        lambda texts: {"dataframe_records": [{"review": text} for text in texts]},
        lambda texts: {"dataframe_split": {"columns": ["review"], "data": [[text] for text in texts]}},
        lambda texts: {"instances": [texts[0], {"review": texts[1]}, [texts[2]], *texts[3:]]},
    ],
)
def test_several_texts_in_every_shape(client: Client, stocked: Path, shape: Any) -> None:
    answer = client.post("/predict", json={"model": "moods", **shape(TEXTS)})
    numbered = [{"index": index, **each} for index, each in enumerate(expected(stocked, TEXTS))]
    assert answer.json["predictions"] == numbered


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"text": ""}, {"/text": "empty_text"}),
        ({"text": " \t\u3000\n"}, {"/text": "empty_text"}),
        ({"text": None}, {"/text": "missing_value"}),
        ({"text": 5}, {"/text": "wrong_type"}),
        ({"text": ["a", "b"]}, {"/text": "wrong_type"}),
        ({"text": "a \ud83d"}, {"/text": "invalid_text"}),
        ({"text": "a", "texts": ["b"]}, {"/texts": "ambiguous"}),
        ({"text": "a", "length": 1}, {"/length": "unknown_field"}),
        ({"texts": []}, {"/texts": "no_rows"}),
        ({"texts": "a"}, {"/texts": "wrong_type"}),
        ({"texts": ["a", {"review": "b"}]}, {"/texts/1": "wrong_type"}),
        (
            {"texts": ["a", "", 5, None, "\udc00", " ", True]},
            {
                "/texts/1": "empty_text",
                "/texts/2": "wrong_type",
                "/texts/3": "missing_value",
                "/texts/4": "invalid_text",
                "/texts/5": "empty_text",
                "/texts/6": "wrong_type",
            },
        ),
        ({"instances": [{"review": ""}, [""], ["a", "b"], {"text": "a"}]},
         {
             "/instances/0/review": "empty_text",
             "/instances/1/0": "empty_text",
             "/instances/2": "wrong_length",
             "/instances/3/review": "missing_field",
             "/instances/3/text": "unknown_field",
         }),
        ({"inputs": {"review": ["a", ""]}}, {"/inputs/review/1": "empty_text"}),
        ({"words": "a"}, {"/review": "missing_field", "/words": "unknown_field"}),
        (["a"], {"": "wrong_type"}),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named_where_it_stands(client: Client, body: Any, found: dict[str, str]) -> None:
    answer = client.post("/predict?model=moods", data=json.dumps(body))
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_input"
    assert {each["pointer"]: each["code"] for each in answer.json["errors"]} == found


def test_too_many_texts(client: Client) -> None:
    answer = client.post("/predict", json={"model": "moods", "texts": ["a"] * 51})
    assert (answer.status_code, answer.json["code"]) == (413, "too_many_rows")


@pytest.mark.parametrize("model", ["wine", "digits"])
@pytest.mark.parametrize("body", [{"text": "a"}, {"texts": ["a"]}])
def test_models_of_other_things_take_no_bare_text(client: Client, model: str, body: Any) -> None:
    answer = client.post("/predict", json={"model": model, **body})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == "wrong_type"
    assert "no bare texts" in answer.json["detail"]


def test_an_image_for_a_model_of_texts(client: Client) -> None:
    answer = client.post("/predict", data={"model": "moods", "image": (b"", "a.png")})
    assert answer.json["code"] == "wrong_input_kind"
    assert "takes texts, not an image" in answer.json["detail"]


def test_the_model_shows_its_words(client: Client) -> None:
    model = client.get("/models/moods").json
    assert model["signature"]["kind"] == "text"
    assert model["example"] == {"review": "a bad night 0"}
    assert {"good", "day", "bad", "night"} <= set(list(model["coefficients"])[:6])


def test_the_first_page_shows_a_line_for_it(client: Client) -> None:
    models = client.get("/").json["models"]
    assert next(model["input"] for model in models if model["name"] == "moods") == "text"

"""Where predictions are logged an answer names an id, and the log has what was answered, under whose key."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from apiflask import APIFlask
from PIL import Image
from sklearn.datasets import load_iris, load_wine
from sqlalchemy import select

from base.database.tables import predictions
from tests.unit.api.conftest import Client, mixed_frame

ROW: dict[str, Any] = load_wine(as_frame=True).data.iloc[7].to_dict()


@pytest.fixture
def asked(logging_app: APIFlask) -> Client:
    return logging_app.test_client()


def logged(app: APIFlask, prediction_id: str) -> Any:
    app.extensions["prediction_log"].flush()
    with app.extensions["workshop"].database.reading() as connection:
        return connection.execute(select(predictions).where(predictions.c.id == prediction_id)).one()


def test_nothing_is_logged_unless_that_is_wanted(client: Client) -> None:
    answer = client.post("/predict", json={"model": "wine", "features": ROW, "key": "bottle-7"})
    assert answer.status_code == 200
    assert "prediction_id" not in answer.json


@pytest.mark.parametrize("way", ["short", "long"])
def test_the_log_has_what_was_answered(logging_app: APIFlask, asked: Client, way: str) -> None:
    body = {"features": ROW} if way == "short" else {"features": ROW, "key": "bottle-7"}
    answer = asked.post("/predict?model=wine@2", json=body).json
    row = logged(logging_app, answer["prediction_id"])
    assert (row.model_name, row.model_version, row.owner) == ("wine", 2, "local")
    assert row.prediction == answer["prediction"]
    assert row.key == body.get("key")
    assert row.actual is None


def test_each_of_several_rows_has_its_id_and_key(logging_app: APIFlask, asked: Client) -> None:
    rows = json.loads(mixed_frame(3).to_json(orient="records"))
    sent = {"model": "churn", "instances": rows, "keys": ["a", "b", "c"]}
    answers = asked.post("/predict", json=sent).json["predictions"]
    found = [logged(logging_app, one["prediction_id"]) for one in answers]
    assert [row.key for row in found] == ["a", "b", "c"]
    assert [row.prediction for row in found] == [str(one["prediction"]).lower() for one in answers]


def test_an_image_has_its_key_in_the_address(logging_app: APIFlask, asked: Client) -> None:
    picture = io.BytesIO()
    Image.new("L", (8, 8), 99).save(picture, "PNG")
    answer = asked.post("/predict?model=digits&key=scan-1", data=picture.getvalue()).json
    row = logged(logging_app, answer["prediction_id"])
    assert (row.key, row.prediction) == ("scan-1", str(answer["prediction"]))


def test_several_outputs_are_not_logged(asked: Client) -> None:
    flower = load_iris().data[0].tolist()
    answer = asked.post("/predict", json={"model": "flowers", "features": flower})
    assert answer.status_code == 200
    assert "prediction_id" not in answer.json


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"features": ROW, "key": 7}, "/key"),
        ({"features": ROW, "key": ""}, "/key"),
        ({"features": ROW, "key": "x" * 256}, "/key"),
        ({"features": ROW, "key": "a\0"}, "/key"),
        ({"features": ROW, "keys": ["a"]}, "/keys"),
        ({"instances": [ROW, ROW], "keys": ["a"]}, "/keys"),
        ({"instances": [ROW, ROW], "keys": ["a", None]}, "/keys/1"),
        ({"instances": [ROW], "key": "a"}, "/key"),
    ],
)
def test_what_is_no_key_is_refused(asked: Client, sent: dict[str, Any], pointer: str) -> None:
    answer = asked.post("/predict", json={"model": "wine", **sent})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_two_keys_for_one_row_are_refused(asked: Client) -> None:
    answer = asked.post("/predict?key=b", json={"model": "wine", "features": ROW, "key": "a"})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")

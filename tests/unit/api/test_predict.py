"""POST /predict: every shape of a request is answered, and equals what scikit-learn answers itself."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.linear_model import LinearRegression
from werkzeug.datastructures import MultiDict

from models.adding import NewVersion
from tests.unit.api.conftest import Client, MakeApp, mixed_frame

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

GOOD: dict[str, Any] = {"age": 40.5, "region": "north", "member": True, "visits": 3}
WINE = load_wine(as_frame=True).data


def estimator(stocked: Path, name: str, version: int = 1) -> Any:
    """The model itself, outside of the server."""
    return joblib.load(stocked / "models" / name / str(version) / "model.joblib")


def wine_rows(count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = WINE.iloc[:: len(WINE) // count][:count].to_dict("records")
    return rows


def test_one_row_is_answered_as_the_estimator_answers_it(client: Client, stocked: Path) -> None:
    row = wine_rows(1)[0]
    answer = client.post("/predict", json={"model": "wine", "features": row})
    model = estimator(stocked, "wine")
    expected = dict(zip(model.classes_, model.predict_proba(pd.DataFrame([row]))[0], strict=True))
    assert answer.status_code == 200
    assert answer.json == {
        "model": {"name": "wine", "version": 1},
        "prediction": max(expected, key=lambda name: expected[name]),
        "confidence": pytest.approx(max(expected.values()), abs=1e-12),
        "probabilities": pytest.approx(expected, abs=1e-12),
    }


def test_a_value_unlike_those_of_training_is_answered_with_a_warning(client: Client) -> None:
    rows = [GOOD, GOOD | {"age": 200.5, "visits": -1}]
    alone = client.post("/predict", json={"model": "churn", "features": rows[1]}).json
    both = client.post("/predict", json={"model": "churn", "instances": rows}).json
    assert [(told["pointer"], told["code"]) for told in both["warnings"]] == [
        ("/instances/1/age", "out_of_range"),
        ("/instances/1/visits", "out_of_range"),
    ]
    assert [told["detail"] for told in both["warnings"]] == [told["detail"] for told in alone["warnings"]]
    assert both["predictions"][1]["prediction"] == alone["prediction"]
    assert "warnings" not in client.post("/predict", json={"model": "churn", "features": GOOD}).json


@pytest.mark.parametrize(
    "shape",
    [
        lambda rows: {"instances": rows},
        lambda rows: {"samples": rows},
        lambda rows: {"data": [list(row.values()) for row in rows]},
        lambda rows: {"inputs": rows},
        lambda rows: {"inputs": {name: [row[name] for row in rows] for name in rows[0]}},
        lambda rows: {"dataframe_records": rows},
        lambda rows: {"dataframe_split": pd.DataFrame(rows).to_dict("split")},
        # columns may come in any order where they have names
        lambda rows: {"instances": [dict(reversed(row.items())) for row in rows]},
        lambda rows: {"dataframe_split": pd.DataFrame(rows).iloc[:, ::-1].to_dict("split")},
    ],
)
def test_several_rows_in_every_shape_are_answered_in_order(client: Client, stocked: Path, shape: Any) -> None:
    rows = wine_rows(9)
    answer = client.post("/predict", json={"model": "wine@1", **shape(rows)})
    model = estimator(stocked, "wine")
    found = answer.json["predictions"]
    assert [each["index"] for each in found] == list(range(9))
    assert [each["prediction"] for each in found] == model.predict(pd.DataFrame(rows)).tolist()
    probabilities = [list(each["probabilities"].values()) for each in found]
    np.testing.assert_allclose(probabilities, model.predict_proba(pd.DataFrame(rows)), rtol=1e-12, atol=1e-12)


def test_a_bare_record_and_a_model_in_the_url(client: Client) -> None:
    bare = client.post("/predict?model=churn", json=GOOD)
    wrapped = client.post("/predict", json={"model": "churn", "features": GOOD})
    in_order = client.post("/predict?model=churn", json={"features": list(GOOD.values())})
    assert bare.status_code == 200
    assert bare.json == wrapped.json == in_order.json
    assert bare.json["prediction"] in (True, False)
    assert set(bare.json["probabilities"]) == {"false", "true"}


def test_the_content_type_of_curl_d_does_not_matter(client: Client) -> None:
    body = json.dumps({"model": "churn", "features": GOOD})
    answer = client.post("/predict", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_regression_has_a_number_and_no_confidence(client: Client, stocked: Path) -> None:
    rows = load_diabetes(as_frame=True).data.head(3)
    answer = client.post("/predict", json={"model": "diabetes", "instances": rows.to_dict("records")})
    found = answer.json["predictions"]
    expected = estimator(stocked, "diabetes").predict(rows)
    np.testing.assert_allclose([each["prediction"] for each in found], expected, rtol=1e-12)
    assert set(found[0]) == {"index", "prediction"}


def test_several_outputs_are_objects_by_target(client: Client, stocked: Path) -> None:
    flowers = load_iris().data[[0, 60, 149]]
    answer = client.post("/predict", json={"model": "flowers", "instances": flowers.tolist()})
    model = estimator(stocked, "flowers")
    for row, (found, expected) in enumerate(
        zip(answer.json["predictions"], model.predict(flowers), strict=True)
    ):
        assert list(found["prediction"].values()) == expected.tolist()
        for target, matrix in zip(("species", "later"), model.predict_proba(flowers), strict=True):
            assert list(found["probabilities"][target].values()) == matrix[row].tolist()
            assert found["confidence"][target] == matrix[row].max()


def test_the_plain_name_follows_the_production_alias(client: Client) -> None:
    row = wine_rows(1)[0]
    assert client.post("/predict?model=wine", json=row).json["model"] == {"name": "wine", "version": 1}
    assert client.post("/predict?model=wine@2", json=row).json["model"]["version"] == 2
    assert client.post("/predict?model=wine@production", json=row).json["model"]["version"] == 1


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray((values.reshape(8, 8) * 15).astype(np.uint8), "L").save(out, "PNG")
    return out.getvalue()


def test_an_image_in_every_way_that_clients_send_it(client: Client, stocked: Path) -> None:
    pixels = load_digits().data[10]
    picture = png(pixels)
    text = base64.b64encode(picture).decode()
    form = {"image": (io.BytesIO(picture), "seven.png"), "model": "digits"}
    answers = [
        client.post("/predict", data=form),
        client.post("/predict", json={"model": "digits", "image": text}),
        client.post("/predict?model=digits", json={"image": f"data:image/png;base64,{text}"}),
        client.post("/predict?model=digits", json={"features": {"image": text}}),
    ]
    named = {"file": (io.BytesIO(picture), "seven.png"), "model": "digits"}
    answers += [
        client.post("/predict", data=named),
        client.post("/predict?model=digits", data=picture, content_type="image/png"),
        client.post("/predict?model=digits", data=picture),
        client.post("/predict?model=digits", data=picture, content_type="application/x-www-form-urlencoded"),
        client.post("/predict", json={"model": "digits", "image": {"b64": text}}),
        client.post("/predict?model=digits", json={"b64": text}),
        client.post("/predict", json={"model": "digits", "image": text.rstrip("=")}),
        client.post("/predict", json={"model": "digits", "image": base64.encodebytes(picture).decode()}),
        client.post(
            "/predict", json={"model": "digits", "image": base64.urlsafe_b64encode(picture).decode()}
        ),
        client.post(
            "/predict", json={"model": "digits", "image": f"DATA:image/PNG;x=y;base64,{quote(text, safe='')}"}
        ),
    ]
    expected = estimator(stocked, "digits").predict([np.floor(pixels * 15) * 16 / 255])[0]
    assert [answer.status_code for answer in answers] == [200] * 14
    assert all(answer.json == answers[0].json for answer in answers)
    assert answers[0].json["prediction"] == expected


def test_several_images_are_answered_in_their_order(client: Client, stocked: Path) -> None:
    digits = load_digits().data[[3, 40, 5]]
    texts = [base64.b64encode(png(pixels)).decode() for pixels in digits]
    parts = MultiDict([("image", (io.BytesIO(png(pixels)), "a.png")) for pixels in digits])
    answers = [
        client.post("/predict?model=digits", data=parts),
        client.post("/predict?model=digits", json={"images": texts}),
        client.post("/predict?model=digits", json={"instances": [{"image": text} for text in texts]}),
        client.post("/predict?model=digits", json={"instances": [{"b64": text} for text in texts]}),
    ]
    expected = estimator(stocked, "digits").predict(np.floor(digits * 15) * 16 / 255).tolist()
    for answer in answers:
        assert [each["prediction"] for each in answer.json["predictions"]] == expected
    one = client.post("/predict?model=digits", json={"images": texts[:1]})
    assert [each["prediction"] for each in one.json["predictions"]] == expected[:1]


def test_a_column_may_have_the_name_of_a_shape(make_app: MakeApp, tmp_path: Path) -> None:
    frame = pd.DataFrame({"data": [1.0, 2.0, 4.0], "model": [3.0, 1.0, 2.0]})
    joblib.dump(LinearRegression().fit(frame, [1.0, 2.0, 3.0]), tmp_path / "odd.joblib")
    app = make_app(tmp_path / "data")
    workshop = app.extensions["workshop"]
    workshop.database.upgrade()
    workshop.registry.add(NewVersion("odd", tmp_path / "odd.joblib"))
    client: Client = app.test_client()
    bare = client.post("/predict?model=odd", json={"data": 1.5, "model": 2})
    wrapped = client.post("/predict", json={"model": "odd", "data": [{"data": 1.5, "model": 2}]})
    assert bare.json["prediction"] == wrapped.json["predictions"][0]["prediction"]


def test_without_a_model_the_only_or_the_default_one_answers(
    make_app: MakeApp, stocked: Path, tmp_path: Path
) -> None:
    client: Client = make_app(stocked, default_model="churn").test_client()
    assert client.post("/predict", json=GOOD).json["model"]["name"] == "churn"
    empty = make_app(tmp_path / "empty", default_model="")
    empty.extensions["workshop"].database.upgrade()
    client = empty.test_client()
    answer = client.post("/predict", json=GOOD)
    assert (answer.status_code, answer.json["code"]) == (404, "no_models")


def test_a_frame_posted_record_by_record_equals_the_pipeline(client: Client, stocked: Path) -> None:
    frame = mixed_frame(50)
    rows = json.loads(frame.to_json(orient="records"))
    answer = client.post("/predict", json={"model": "churn", "instances": rows})
    expected = estimator(stocked, "churn").predict(frame).tolist()
    assert [each["prediction"] for each in answer.json["predictions"]] == expected

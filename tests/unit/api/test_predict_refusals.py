"""POST /predict refuses what is wrong, names each place, and never answers bad input with a server error."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from apiflask import APIFlask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from werkzeug.datastructures import MultiDict

from tests.unit.api.conftest import Client

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

GOOD: dict[str, Any] = {"age": 40.5, "region": "north", "member": True, "visits": 3}


def places(answer: Any) -> dict[str, str]:
    """Codes by pointer."""
    return {error["pointer"]: error["code"] for error in answer.json["errors"]}


def test_everything_wrong_with_a_row_is_told_at_once(client: Client) -> None:
    row = {"age": None, "regoin": "north", "member": 1, "visits": "3"}
    answer = client.post("/predict", json={"model": "churn", "features": row})
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert places(answer) == {
        "/features/age": "missing_value",
        "/features/region": "missing_field",
        "/features/regoin": "unknown_field",
        "/features/member": "wrong_type",
        "/features/visits": "wrong_type",
    }
    details = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert "did you mean 'regoin'?" in details["/features/region"]
    assert details["/features/visits"] == "'visits' must be a number, not the text '3'."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"features": GOOD | {"region": "east"}}, {"/features/region": "unseen_category"}),
        ({"features": GOOD | {"visits": True}}, {"/features/visits": "wrong_type"}),
        ({"features": GOOD | {"age": 10**400}}, {"/features/age": "infinite_value"}),
        ({"features": GOOD | {"visits": 2**53 + 1}}, {"/features/visits": "integer_too_large"}),
        ({"features": GOOD | {"age": float("nan")}}, {"/features/age": "not_a_number"}),
        ({"features": GOOD | {"age": float("-inf")}}, {"/features/age": "infinite_value"}),
        ({"features": [1, "north", True]}, {"/features": "wrong_length"}),
        ({"features": [1, "north", True, "x"]}, {"/features/3": "wrong_type"}),
        ({"features": [1, "east", True, 2]}, {"/features/1": "unseen_category"}),
        ({"features": [[1, "north", True, 2]]}, {"/features": "wrong_type"}),
        ({"features": 5}, {"/features": "wrong_type"}),
        ({"features": GOOD, "version": 3}, {"/version": "unknown_field"}),
        ({"features": GOOD, "data": []}, {"/data": "ambiguous"}),
        ({"instances": [GOOD, GOOD | {"region": None}]}, {"/instances/1/region": "missing_value"}),
        ({"instances": []}, {"/instances": "no_rows"}),
        ({"data": [1, 2, 3]}, {"/data/0": "wrong_type"}),
        ({"data": {"age": 3}}, {"/data": "wrong_type"}),
        ({"inputs": {"age": [1, 2], "region": ["north"]}}, {"/inputs/region": "wrong_length"}),
        (
            {"inputs": {name: [value, value] for name, value in GOOD.items()} | {"age": [1, "x"]}},
            {"/inputs/age/1": "wrong_type"},
        ),
        (
            {"dataframe_split": {"columns": list(GOOD), "data": [[1, "north", True, 2], [1, "x", True, 2]]}},
            {"/dataframe_split/data/1/1": "unseen_category"},
        ),
        (
            {"dataframe_split": {"columns": list(GOOD), "data": [[1, "north"]]}},
            {"/dataframe_split/data/0": "wrong_length"},
        ),
        (
            {"dataframe_split": {"columns": ["age", "age"], "data": []}},
            {"/dataframe_split/columns": "duplicate_field"},
        ),
        ({"model": 3, "features": GOOD}, {"/model": "wrong_type"}),
        ({"model": "wine", "features": GOOD}, {"/model": "conflict"}),
        ([GOOD], {"": "wrong_type"}),
    ],
)
def test_what_is_wrong_has_a_pointer(client: Client, body: Any, expected: dict[str, str]) -> None:
    answer = client.post("/predict?model=churn", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert places(answer) == expected


def test_many_mistakes_are_cut_short(client: Client) -> None:
    answer = client.post("/predict", json={"model": "churn", "instances": [{}] * 50})
    assert len(answer.json["errors"]) == 100
    assert "at least 100" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b'{"features": {"age": 1, "age": 2}}', "'age' stands twice"),
        (b'{"features": ', "column 14"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"features": ' + b"9" * 5000 + b"}", "number"),
        (b'\xff{"a": 1}', "UTF-8"),
    ],
)
def test_what_is_not_json_is_a_400(client: Client, body: bytes, said: str) -> None:
    answer = client.post("/predict?model=churn", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "bad_json")
    assert said in answer.json["detail"]


def test_a_number_beyond_64_bits_is_refused_where_it_stands(client: Client) -> None:
    body = b'{"features": {"age": 1e999, "region": "north", "member": true, "visits": 1}}'
    answer = client.post("/predict?model=churn", data=body)
    assert (answer.status_code, places(answer)) == (422, {"/features/age": "infinite_value"})


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("/predict?model=wien", 404, "unknown_model"),
        ("/predict?model=wine@9", 404, "unknown_version"),
        ("/predict?model=wine@best", 404, "unknown_alias"),
        ("/predict?model=Wine!", 400, "invalid_reference"),
        ("/predict", 400, "model_required"),
        ("/predict?model=wine&model=wine", 422, "bad_option"),
        ("/predict?model=wine&verbose=1", 422, "unknown_option"),
    ],
)
def test_models_and_options_that_there_are_not(client: Client, url: str, status: int, code: str) -> None:
    answer = client.post(url, json={"features": {}})
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_too_many_rows_name_the_way_out(client: Client) -> None:
    answer = client.post("/predict", json={"model": "churn", "instances": [GOOD] * 51})
    assert (answer.status_code, answer.json["code"]) == (413, "too_many_rows")
    assert "POST /jobs" in answer.json["detail"]


def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    body = b" " * 200_001
    for sent in (
        client.post("/predict", data=body),
        client.post(
            "/predict",
            input_stream=io.BytesIO(body),
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        ),
    ):
        assert (sent.status_code, sent.json["code"]) == (413, "too_large")


def test_a_row_that_the_estimator_refuses_is_found(client: Client) -> None:
    rows = [{"size": 3.0 + row, "weight": 2.5} for row in range(20)]
    rows[13]["weight"] = -1.0
    answer = client.post("/predict", json={"model": "positive", "instances": rows})
    assert (answer.status_code, answer.json["code"]) == (422, "model_refused")
    assert places(answer) == {"/instances/13": "model_refused"}
    assert "strictly positive" in answer.json["detail"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"image": "???"}, "not_base64"),
        ({"image": base64.b64encode(b"no picture").decode()}, "image_unreadable"),
        ({"image": base64.b64encode(b"not a picture").decode() + "A"}, "not_base64"),
        ({"image": "data:image/png;base64,"}, "image_unreadable"),
        ({"image": "data:image/png,x"}, "not_base64"),
        ({"image": 7}, "wrong_type"),
        ({"image": {"url": "x"}}, "wrong_type"),
        ({"image": {"b64": "???"}}, "not_base64"),
    ],
)
def test_a_bad_image_is_named(client: Client, sent: Any, code: str) -> None:
    answer = client.post("/predict?model=digits", json=sent)
    assert (answer.status_code, places(answer)) == (422, {"/image": code})


def test_forms_that_are_not_one_image(client: Client) -> None:
    one = (io.BytesIO(b"x"), "a.png")
    assert client.post("/predict", data={"model": "churn", "image": one}).json["code"] == "wrong_input_kind"
    raw = client.post("/predict?model=churn", data=b"x", content_type="image/png")
    assert (raw.status_code, raw.json["code"]) == (422, "wrong_input_kind")
    other = client.post("/predict", data={"model": "digits", "picture": (io.BytesIO(b"x"), "a.png")})
    assert (other.status_code, other.json["code"]) == (400, "bad_multipart")
    broken = client.post("/predict", data=b"--nothing", content_type="multipart/form-data")
    assert (broken.status_code, broken.json["code"]) == (400, "bad_multipart")


def test_a_bad_image_among_several_has_its_place(client: Client) -> None:
    good, bad = base64.b64encode(picture()).decode(), "AAAA"
    answer = client.post("/predict?model=digits", json={"images": [good, bad, good, 7]})
    assert answer.status_code == 422
    assert places(answer) == {"/images/1": "image_unreadable", "/images/3": "wrong_type"}
    form = MultiDict([("image", (io.BytesIO(data), "a.png")) for data in (picture(), b"x", picture())])
    assert places(client.post("/predict?model=digits", data=form)) == {"/images/1": "image_unreadable"}
    raw = client.post("/predict?model=digits", data=picture()[:50], content_type="image/png")
    assert places(raw) == {"/image": "image_unreadable"}


def test_a_picture_too_large_to_decode_is_refused_by_its_header(client: Client) -> None:
    bomb = io.BytesIO()
    Image.new("1", (7000, 7000)).save(bomb, "PNG")
    answer = client.post("/predict?model=digits", data=bomb.getvalue())
    assert (answer.status_code, places(answer)) == (422, {"/image": "image_too_large"})


def test_too_many_images_name_the_way_out(client: Client) -> None:
    form = MultiDict([("image", (io.BytesIO(picture()), "a.png")) for _ in range(51)])
    for answer in (
        client.post("/predict?model=digits", data=form),
        client.post("/predict?model=digits", json={"images": ["AAAA"] * 51}),
    ):
        assert (answer.status_code, answer.json["code"]) == (413, "too_many_rows")
    assert client.post("/predict?model=digits", json={"images": []}).status_code == 422


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), 99).save(out, "PNG")
    return out.getvalue()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
ROWS = st.fixed_dictionaries(dict.fromkeys(GOOD, SCALARS)) | st.lists(SCALARS, min_size=4, max_size=4)
TABLES = st.lists(ROWS | ANYTHING, max_size=4)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "features": ROWS | ANYTHING,
        "instances": TABLES | ANYTHING,
        "data": TABLES | ANYTHING,
        "inputs": st.dictionaries(st.sampled_from([*GOOD, "other"]), st.lists(SCALARS, max_size=3)) | TABLES,
        "dataframe_split": st.fixed_dictionaries(
            {"columns": st.lists(st.sampled_from([*GOOD, "x"]) | ANYTHING, max_size=5), "data": TABLES}
        ),
        "image": SCALARS,
        "images": st.lists(SCALARS | ANYTHING, max_size=3) | ANYTHING,
        "model": st.sampled_from(["churn", "digits", "wine@1"]) | SCALARS,
    },
)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(body=ANYTHING | SHAPED | ROWS, model=st.sampled_from(["churn", "digits", "positive"]))
def test_no_json_makes_a_server_error(shared_app: APIFlask, body: Any, model: str) -> None:
    answer = shared_app.test_client().post(f"/predict?model={model}", data=json.dumps(body))
    assert answer.status_code < 500
    assert answer.status_code == 200 or answer.content_type == "application/problem+json"


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from(["application/json", "multipart/form-data; boundary=x"]),
)
def test_no_bytes_make_a_server_error(shared_app: APIFlask, body: bytes, kind: str) -> None:
    if kind.startswith("multipart"):
        body = b"--x\r\n" + body + b"\r\n--x--\r\n"
    assert (
        shared_app.test_client().post("/predict?model=digits", data=body, content_type=kind).status_code < 500
    )

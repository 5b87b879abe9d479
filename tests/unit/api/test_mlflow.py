"""MLflow's scoring protocol: its bodies, its answers, its errors; and the numbers of POST /predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from apiflask import APIFlask
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.api.conftest import Client, MakeApp, mixed_frame

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

FRAME = mixed_frame(3)
RECORDS: list[dict[str, Any]] = json.loads(FRAME.to_json(orient="records"))


def predicted(client: Client, model: str, records: list[Any]) -> list[Any]:
    """What POST /predict says of the same rows."""
    answer = client.post("/predict", json={"model": model, "instances": records})
    return [each["prediction"] for each in answer.json["predictions"]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": json.loads(FRAME.to_json(orient="split"))},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"instances": FRAME.to_numpy().tolist()},
        {"inputs": {name: FRAME[name].tolist() for name in FRAME}},
        {"inputs": RECORDS, "params": {"temperature": 0.5}, "client": "MLflow ignores other keys"},
    ],
    ids=lambda body: next(iter(body)),
)
def test_every_json_shape_gets_the_predictions_of_predict(client: Client, body: dict[str, Any]) -> None:
    answer = client.post("/invocations?model=churn", json=body)
    assert (answer.status_code, answer.json) == (200, {"predictions": predicted(client, "churn", RECORDS)})


@pytest.mark.parametrize("index", [True, False])
def test_csv_is_read_with_and_without_the_index_that_pandas_writes(client: Client, index: bool) -> None:
    answer = client.post(
        "/invocations?model=churn", data=FRAME.to_csv(index=index), content_type="text/csv; charset=utf-8"
    )
    assert answer.json == {"predictions": predicted(client, "churn", RECORDS)}


def test_csv_of_texts_keeps_commas_quotes_and_line_breaks(client: Client) -> None:
    texts = ['a "good" day,\nwith rain', "a bad night"]
    answer = client.post(
        "/invocations?model=moods", data=pd.DataFrame({"review": texts}).to_csv(), content_type="text/csv"
    )
    assert answer.json == {"predictions": predicted(client, "moods", texts)}


def test_several_outputs_are_a_record_a_row(client: Client) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    answer = client.post("/invocations?model=flowers", json={"inputs": rows})
    assert answer.json == {"predictions": predicted(client, "flowers", rows)}
    assert answer.json["predictions"][0] == {"species": 0, "later": 0}


def test_a_frame_whose_columns_are_numbers_counts_by_position(client: Client) -> None:
    """What a frame made of an array has, and what an estimator fitted without names expects."""
    rows = np.array([[5.1, 3.5, 1.4, 0.2]])
    body = {"dataframe_split": pd.DataFrame(rows).to_dict(orient="split")}
    answer = client.post("/invocations?model=flowers", json=body)
    assert answer.json == {"predictions": predicted(client, "flowers", rows.tolist())}


def test_nan_as_mlflows_client_writes_it_is_a_missing_value(client: Client) -> None:
    body = json.dumps({"dataframe_split": FRAME.assign(age=np.nan).to_dict(orient="split")}, default=str)
    assert "NaN" in body
    answer = client.post("/invocations?model=churn", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "/dataframe_split/data/2/0: Column 'age' is empty" in answer.json["message"]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "said"),
    [
        ("application/json", b"{", 400, "not valid JSON"),
        ("application/json", b"[[1]]", 400, "exactly one of dataframe_split"),
        ("application/json", b'{"messages": []}', 400, "it has 'messages'"),
        ("application/json", b'{"inputs": [], "instances": []}', 400, "exactly one of"),
        ("application/json", b'{"inputs": [[Infinity, 1, 1, 1]]}', 400, "Infinity is not JSON"),
        ("application/json", b'{"inputs": [{"age": "x"}]}', 400, "/inputs/0/region: 'region' is missing"),
        ("application/json; charset=latin-1", b"{}", 415, "UTF-8"),
        ("application/vnd.apache.parquet", b"PAR1", 415, "application/json or text/csv"),
        ("", b"{}", 415, "application/json or text/csv"),
        ("text/csv", b"", 400, "empty"),
        ("text/csv", b"age,region\n1,north\n", 400, "no column 'member'"),
        ("text/csv", b"age,region,member,visits\n", 400, "no data rows"),
        ("text/csv", b"age,region,member,visits\nx,north,1,2\n", 400, "Row 0 of the CSV"),
        ("text/csv", b"age,region,member,visits\n1,north,1\n", 400, "Row 0 of the CSV"),
        ("text/csv", b"age,region,member,visits\n1,east,1,1e999\n", 400, "/0/visits: 'visits' is too large"),
        ("text/csv", b"age,region,member,visits\n1,\xff,1,2\n", 400, "not UTF-8 text: see byte 27"),
        ("text/csv", b"\xe9ge,region,member,visits\n1,north,1,2\n", 400, "not UTF-8 text: see byte 0"),
        ("text/csv", b'age,region,member,visits\n1,"north,1,2\n1,north,1,2\n', 400, "never closed"),
        ("text/csv", b"age,region,member,visits\n" + b"1,north,1,2\n" * 51, 413, "POST /jobs"),
        ("application/json", json.dumps({"inputs": RECORDS * 17}).encode(), 413, "POST /jobs"),
        ("application/json", b" " * 200_001, 413, "POST /jobs"),
    ],
)
def test_refusals_have_mlflows_form(
    client: Client, content_type: str, body: bytes, status: int, said: str
) -> None:
    answer = client.post("/invocations?model=churn", data=body, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (status, "application/json")
    assert answer.json.keys() == {"error_code", "message"}
    assert answer.json["error_code"] == "BAD_REQUEST"
    assert said in answer.json["message"]


def test_an_unknown_model_and_a_wrong_method_have_mlflows_form_too(client: Client) -> None:
    unknown = client.post("/invocations?model=wien", json={"inputs": []})
    assert (unknown.status_code, unknown.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    wrong = client.get("/invocations")
    assert (wrong.status_code, wrong.json["error_code"], wrong.headers["Allow"]) == (
        405,
        "BAD_REQUEST",
        "OPTIONS, POST",
    )
    many = client.post("/invocations", json={"inputs": []})
    assert many.status_code == 400
    assert "Say which model" in many.json["message"]
    option = client.post("/invocations?modle=wine", json={"inputs": []})
    assert "no option 'modle'" in option.json["message"]


def test_the_default_model_answers_where_none_is_named(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, default_model="churn").test_client()
    assert client.post("/invocations", json={"instances": RECORDS}).status_code == 200


def test_values_unlike_those_of_training_are_told_as_predict_tells_them(client: Client) -> None:
    records = [RECORDS[0], RECORDS[1] | {"age": 200.0}]
    expected = client.post("/predict", json={"model": "churn", "instances": records}).json["warnings"]
    assert [each["pointer"] for each in expected] == ["/instances/1/age"]
    answer = client.post("/invocations?model=churn", json={"instances": records})
    assert answer.json["warnings"] == expected


def test_without_a_key_the_refusal_has_mlflows_form(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, require_keys=1, admin_key="k" * 40).test_client()
    answer = client.post("/invocations?model=churn", json={"inputs": RECORDS})
    assert (answer.status_code, answer.json["error_code"]) == (401, "UNAUTHENTICATED")
    assert "API key" in answer.json["message"]
    sent = client.post("/invocations?model=churn", json={"inputs": RECORDS}, headers={"X-API-Key": "k" * 40})
    assert sent.status_code == 200
    assert client.get("/ping").status_code == 200


def test_ping_and_version(client: Client, make_app: MakeApp, tmp_path: Path) -> None:
    ping = client.get("/ping")
    assert (ping.status_code, ping.data) == (200, b"")
    version = client.get("/version")
    assert (version.status_code, version.text) == (200, client.get("/health").json["version"])
    empty = make_app(tmp_path / "empty")
    empty.extensions["workshop"].database.upgrade()
    answer: Any = empty.test_client().get("/ping")
    assert (answer.status_code, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


BODIES = {
    "application/json": json.dumps({"dataframe_split": json.loads(FRAME.to_json(orient="split"))}).encode(),
    "text/csv": FRAME.to_csv(index=False).encode(),
}


@settings(max_examples=200, derandomize=True)
@given(
    content_type=st.sampled_from(list(BODIES)),
    cuts=st.lists(
        st.tuples(
            st.integers(0, 160),
            st.integers(0, 12),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b'"', b"\r", b"\n", b",,", b"\0", b"NaN", b"[[", b"1e999"]),
            ),
        ),
        max_size=4,
    ),
)
def test_a_mutated_body_is_answered_or_refused(
    shared_app: APIFlask, content_type: str, cuts: list[tuple[int, int, bytes]]
) -> None:
    body = BODIES[content_type]
    for at, length, put in cuts:
        body = body[:at] + put + body[at + length :]
    answer = shared_app.test_client().post("/invocations?model=churn", data=body, content_type=content_type)
    assert answer.status_code in {200, 400, 413}, (body, answer.text)

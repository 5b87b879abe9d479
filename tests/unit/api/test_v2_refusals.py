"""V2 refuses what is not what it says, in the protocol's own form, and never answers bad input with a 500."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from apiflask import APIFlask
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.api.conftest import Client
from tests.unit.api.v2_asking import HEADER, binary, framed, infer, packed, tensor

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

AGE = tensor("age", "FP64", [40.5])
REGION = tensor("region", "BYTES", ["north"])
MEMBER = tensor("member", "BOOL", [True])
VISITS = tensor("visits", "INT64", [3])
FLOWER = binary("x", "FP64", [1, 4], np.array([5.1, 3.5, 1.4, 0.2]).tobytes())


def refusal(answer: Any) -> str:
    """What the refusal says."""
    assert answer.status_code == 400, answer.text
    assert answer.content_type == "application/json"
    assert list(answer.json) == ["error"]
    return str(answer.json["error"])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "at least one tensor"),
        ([AGE, REGION, MEMBER], "'visits' is missing"),
        ([AGE, REGION, MEMBER, VISITS, AGE], "two inputs have this name"),
        ([AGE, REGION, MEMBER, VISITS, tensor("vists", "INT64", [1])], "no column 'vists'"),
        ([AGE, REGION, MEMBER, tensor("visits", "BYTES", ["3"])], "must be a number, not the text '3'"),
        ([AGE, REGION, MEMBER, tensor("visits", "BOOL", [True])], "must be a number, not true"),
        ([AGE, REGION, MEMBER, tensor("visits", "INT64", [3.5])], "3.5 is no INT64"),
        ([AGE, REGION, MEMBER, tensor("visits", "INT8", [128])], "128 is no INT8"),
        ([AGE, REGION, MEMBER, tensor("visits", "UINT64", [-1])], "-1 is no UINT64"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [10**400])], "too large"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP32", [1e39])], "too large"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP16", [10**400])], "too large"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [None])], "Column 'visits' is empty"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [{}])], "not an object"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [1, 2])], "has 2 rows, the input before it 1"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [1, 2], [1])], "data has 2"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [[1, 2]], [1, 1])], "must have 1 values"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [1], [1, 1, 1])], "one or two sizes"),
        ([AGE, REGION, MEMBER, tensor("visits", "FP64", [], [0])], "has 0 rows"),
        ([tensor("age", "FP64", [], [0])], "no rows"),
        ([tensor("age", "FP64", [], [2**62, 0])], "rows were sent"),
        ([tensor("age", "FP64", [1], [-1])], "one or two sizes"),
        ([tensor("age", "FP64", [1], [2**64])], "one or two sizes"),
        ([tensor("age", "FP64", [1], [2**62, 2**62])], "but data has 1"),
        ([tensor("age", "FP64", [1], [True])], "one or two sizes"),
        ([tensor("age", "FP128", [1])], "'FP128'; there are BOOL"),
        ([tensor("age", "FP64", [1.0, 2.0], [1, 2])], "model has 4 columns"),
        ([{**AGE, "name": 3}], "has a name"),
        ([{**AGE, "datatype": ["FP64"]}], "datatype"),
        ([{**AGE, "shape": 1}], "one or two sizes"),
        ([{**AGE, "data": "1"}], "needs data"),
        ([{**AGE, "parameters": []}], "parameters must be an object"),
        ([{**AGE, "parameters": {"shared_memory_region": "a"}}], "extension"),
        ([{**AGE, "parameters": {"binary_data_size": 8}}], "0 are left"),
        (["age"], "list of objects"),
    ],
)
def test_tensors_that_do_not_fit(client: Client, inputs: list[Any], said: str) -> None:
    if "rows were sent" in said:
        answer = infer(client, "churn", *inputs)
        assert (answer.status_code, said in answer.json["error"]) == (413, True)
    else:
        assert said in refusal(infer(client, "churn", *inputs))


def test_everything_wrong_with_the_values_is_told_at_once(client: Client) -> None:
    text = refusal(
        infer(client, "churn", tensor("region", "BYTES", ["east"]), tensor("age", "FP64", ["x"]), MEMBER)
    )
    assert "/inputs/1/data/0: 'age' must be a number" in text
    assert "/inputs/0/data/0: Column 'region' is east" in text
    assert "/inputs/visits: 'visits' is missing" in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"id": 7}, "id must be a text"),
        ({"outputs": [{"name": "label"}]}, "has no output 'label'; it has prediction, probabilities"),
        ({"outputs": [{"name": "prediction"}, {"name": "prediction"}]}, "twice"),
        ({"outputs": [{}]}, "has a name"),
        ({"outputs": {}}, "list of objects"),
        ({"outputs": [{"name": "prediction", "parameters": {"binary_data": 1}}]}, "true or false"),
        ({"outputs": [{"name": "prediction", "parameters": {"classification": 2}}]}, "extension"),
        ({"parameters": {"binary_data_output": "yes"}}, "true or false"),
        ({"parameters": 5}, "parameters must be an object"),
    ],
)
def test_requests_that_ask_for_what_is_not_there(client: Client, more: dict[str, Any], said: str) -> None:
    assert said in refusal(infer(client, "churn", AGE, REGION, MEMBER, VISITS, **more))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"inputs": 5}', b"\xff", b"[" * 100_000, b"{}"])
def test_bodies_that_are_no_request(client: Client, body: bytes) -> None:
    refusal(client.post("/v2/models/churn/infer", data=body))


@pytest.mark.parametrize("length", ["", "-1", "1.5", "999999", "9" * 5000, "²", "0", "3", "x"])
def test_a_header_length_that_is_not_that_of_the_json(client: Client, length: str) -> None:
    body, headers = framed({"inputs": [FLOWER[0]]}, FLOWER[1])
    sent = {**headers, HEADER: length.encode().decode("latin-1")}
    refusal(client.post("/v2/models/flowers/infer", data=body, headers=sent))


@pytest.mark.parametrize(
    ("described", "data", "said"),
    [
        ({"datatype": "FP64", "shape": [1, 4]}, b"\0" * 31, "takes 32 bytes, not 31"),
        ({"datatype": "FP64", "shape": [1, 4]}, b"\0" * 33, "takes 32 bytes, not 33"),
        ({"datatype": "FP64", "shape": [2**60, 2**60]}, b"\0" * 32, "bytes, not 32"),
        ({"datatype": "BOOL", "shape": [1, 4]}, b"\0\1\2\0", "byte 0 or 1"),
        ({"datatype": "BYTES", "shape": [1, 4]}, packed([b"a"] * 3), "takes 16 bytes, not 15"),
        ({"datatype": "BYTES", "shape": [1, 4]}, packed([b"a"] * 5), "behind its last element"),
        ({"datatype": "BYTES", "shape": [1, 4]}, b"\xff" * 16, "reaches beyond"),
        ({"datatype": "BYTES", "shape": [1, 4]}, packed([b"abcdefgh"]) + b"\0\0\0\0", "reaches beyond"),
        ({"datatype": "BYTES", "shape": [1, 4]}, packed([b"\xff"] * 4), "not UTF-8"),
        ({"datatype": "BYTES", "shape": [2**61]}, packed([b"a"]), "bytes, not 5"),
        ({"datatype": "FP64", "shape": [1, 4], "data": [1, 2, 3, 4]}, b"\0" * 32, "not both"),
        ({"datatype": "FP64", "shape": [1, 4]}, np.array([1, np.inf, 1, 1]).tobytes(), "'x1' is too large"),
    ],
)
def test_binary_data_that_are_not_what_they_say(
    client: Client, described: dict[str, Any], data: bytes, said: str
) -> None:
    sent = {"name": "x", **described, "parameters": {"binary_data_size": len(data)}}
    assert said in refusal(infer(client, "flowers", (sent, data)))


@pytest.mark.parametrize("size", [-1, True, 32.0, "32", 33, 2**70, None])
def test_a_size_that_is_not_that_of_the_data(client: Client, size: Any) -> None:
    sent = {**FLOWER[0], "parameters": {"binary_data_size": size}}
    refusal(infer(client, "flowers", (sent, FLOWER[1])))


def test_bytes_that_no_input_claims(client: Client) -> None:
    assert "left over" in refusal(infer(client, "flowers", (FLOWER[0], FLOWER[1] + b"x")))


def test_limits_are_those_of_predict(client: Client) -> None:
    many = infer(client, "flowers", binary("x", "UINT8", [51, 4], b"\1" * 204))
    assert (many.status_code, "POST /jobs" in many.json["error"]) == (413, True)
    large = infer(client, "flowers", binary("x", "UINT8", [200_000, 1], b"\1" * 200_000))
    assert (large.status_code, "POST /jobs" in large.json["error"]) == (413, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/wien", 404),
        ("GET", "/v2/models/Wine", 400),
        ("GET", "/v2/models/wine/versions/x/y", 404),
        ("GET", "/v2/models/wine/config", 404),
        ("GET", "/v2/models/stats", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", "/v2/systemsharedmemory/status", 404),
        ("GET", "/v2/models/wine/infer", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v2/models/%00", 400),
    ],
)
def test_other_addresses_answer_in_the_protocols_form(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, list(answer.json)) == (status, ["error"])


BODY, HEADERS = framed(
    {
        "id": "1",
        "inputs": [FLOWER[0]],
        "outputs": [{"name": "prediction_later", "parameters": {"binary_data": True}}],
    },
    FLOWER[1],
)
TEXT, TEXT_HEADERS = framed(
    {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 20}}]},
    packed([b"good day", b"bad "]),
)


@settings(max_examples=300, derandomize=True)
@given(
    start=st.sampled_from([("flowers", BODY, HEADERS), ("moods", TEXT, TEXT_HEADERS)]),
    cuts=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=4
    ),
    shift=st.integers(-30, 30),
)
def test_a_mutated_request_is_answered_or_refused(
    shared_app: APIFlask,
    start: tuple[str, bytes, dict[str, str]],
    cuts: list[tuple[int, int, bytes]],
    shift: int,
) -> None:
    model, body, headers = start
    for at, length, put in cuts:
        body = body[:at] + put + body[at + length :]
    length = int(headers[HEADER]) + shift
    answer = shared_app.test_client().post(
        f"/v2/models/{model}/infer", data=body, headers={**headers, HEADER: str(length)}
    )
    assert answer.status_code in {200, 400, 413}, (body, length)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.none(), st.booleans(), st.text(max_size=3), st.just([[]])
)


ODD_TENSORS = st.fixed_dictionaries(
    {
        "name": st.just("x"),
        "datatype": st.sampled_from(["FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL", "BYTES", "", 5]),
        "shape": st.one_of(
            st.just([1, 4]), st.just([4]), st.lists(st.one_of(NUMBERS, st.just(4)), max_size=3), NUMBERS
        ),
    },
    optional={
        "data": st.one_of(
            st.lists(NUMBERS, min_size=4, max_size=4),
            st.lists(st.lists(NUMBERS, min_size=4, max_size=4)),
            NUMBERS,
        ),
        "parameters": st.fixed_dictionaries({"binary_data_size": st.one_of(st.integers(-5, 50), NUMBERS)}),
    },
)


@settings(max_examples=300, derandomize=True)
@given(sent=ODD_TENSORS, binary_part=st.binary(max_size=48))
def test_whatever_a_tensor_says_is_answered_or_refused(
    shared_app: APIFlask, sent: dict[str, Any], binary_part: bytes
) -> None:
    body = json.dumps({"inputs": [sent]}).encode()
    answer = shared_app.test_client().post(
        "/v2/models/flowers/infer", data=body + binary_part, headers={HEADER: str(len(body))}
    )
    assert answer.status_code in {200, 400, 413}, answer.text

"""Open Inference Protocol V2: every form of a tensor gets the numbers of POST /predict."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_wine

from tests.unit.api.conftest import Client, MakeApp, mixed_frame
from tests.unit.api.v2_asking import HEADER, binary, framed, infer, outputs, packed, tensor

# pytest takes back, after each test, the filter that loading a model sets for the process
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

MIXED = mixed_frame(4)
WINE = load_wine(as_frame=True).data[::40]


def predicted(client: Client, model: str, rows: list[Any]) -> dict[str, Any]:
    """What POST /predict says of the same rows, as output tensors."""
    answer = client.post("/predict", json={"model": model, "instances": rows}).json
    found = {"prediction": [each["prediction"] for each in answer["predictions"]]}
    if "probabilities" in answer["predictions"][0]:
        found["probabilities"] = [list(each["probabilities"].values()) for each in answer["predictions"]]
    return found


def mixed_tensors() -> list[dict[str, Any]]:
    return [
        tensor("visits", "INT64", MIXED["visits"].tolist()),  # in any order
        tensor("age", "FP64", MIXED["age"].tolist(), [4, 1]),
        tensor("region", "BYTES", MIXED["region"].tolist()),
        tensor("member", "BOOL", MIXED["member"].tolist()),
    ]


def mixed_binaries() -> list[tuple[dict[str, Any], bytes]]:
    return [
        binary("age", "FP64", [4], MIXED["age"].to_numpy().tobytes()),
        binary("region", "BYTES", [4, 1], packed([region.encode() for region in MIXED["region"]])),
        binary("member", "BOOL", [4], MIXED["member"].to_numpy().tobytes()),
        binary("visits", "INT32", [4], MIXED["visits"].to_numpy(np.int32).tobytes()),
    ]


def test_a_tensor_for_each_column_in_json_and_in_binary(client: Client) -> None:
    expected = predicted(client, "churn", MIXED.to_dict(orient="records"))
    assert outputs(infer(client, "churn", *mixed_tensors())) == expected
    assert outputs(infer(client, "churn", *mixed_binaries())) == expected
    some = [mixed_tensors()[0], *mixed_binaries()[:3]]
    assert outputs(infer(client, "churn", *some)) == expected


@pytest.mark.parametrize("name", ["input-0", "alcohol"])
def test_one_tensor_of_all_columns(client: Client, name: str) -> None:
    values = WINE.to_numpy()
    expected = predicted(client, "wine", values.tolist())
    shape = list(values.shape)
    for sent in (
        tensor(name, "FP64", values.tolist(), shape),
        tensor(name, "FP64", values.ravel().tolist(), shape),
        binary(name, "FP64", shape, values.tobytes()),
    ):
        assert outputs(infer(client, "wine", sent)) == expected


def test_32_bit_numbers_are_the_same_in_json_and_in_binary(client: Client) -> None:
    small = WINE.to_numpy(np.float32)
    shape = list(small.shape)
    expected = predicted(client, "wine", small.astype(float).tolist())
    assert outputs(infer(client, "wine", tensor("x", "FP32", WINE.to_numpy().tolist(), shape))) == expected
    assert outputs(infer(client, "wine", binary("x", "FP32", shape, small.tobytes()))) == expected


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_every_type_of_number(client: Client, dtype: str) -> None:
    datatype = {"u": "UINT", "i": "INT", "f": "FP"}[dtype[0]] + str(8 * int(dtype[1]))
    rows = np.array([[5, 3, 1, 0], [6, 3, 5, 2]])
    expected = client.post("/predict", json={"model": "flowers", "instances": rows.tolist()}).json[
        "predictions"
    ]
    sent = binary("x", datatype, [2, 4], rows.astype(f"<{dtype}").tobytes())
    found = outputs(infer(client, "flowers", sent))
    assert found["prediction_species"] == [each["prediction"]["species"] for each in expected]
    assert found["probabilities_later"] == [
        list(each["probabilities"]["later"].values()) for each in expected
    ]


def test_texts_and_images_are_bytes(client: Client) -> None:
    texts = ["ein größerer Tag, 雨", "a bad night"]
    expected = predicted(client, "moods", texts)
    assert outputs(infer(client, "moods", tensor("any name", "BYTES", texts))) == expected
    sent = binary("review", "BYTES", [2], packed([text.encode() for text in texts]))
    assert outputs(infer(client, "moods", sent)) == expected

    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    expected = predicted(client, "digits", [{"image": text}])
    assert outputs(infer(client, "digits", tensor("image", "BYTES", [text]))) == expected
    sent = binary("image", "BYTES", [1, 1], packed([file.getvalue()]))
    assert outputs(infer(client, "digits", sent)) == expected


def test_nan_in_a_tensor_is_a_missing_value(client: Client) -> None:
    sent = mixed_binaries()
    sent[0] = binary("age", "FP64", [4], np.array([1, np.nan, 3, np.nan]).tobytes())
    answer = infer(client, "churn", *sent)
    assert answer.status_code == 400
    assert "/inputs/0/data/1: Column 'age' is empty" in answer.json["error"]
    assert "/inputs/0/data/3: Column 'age' is empty" in answer.json["error"]


def test_only_the_outputs_asked_for_come_in_their_order_and_form(client: Client) -> None:
    asked = [
        {"name": "probabilities", "parameters": {"binary_data": False}},
        {"name": "prediction"},
    ]
    answer = infer(
        client, "churn", *mixed_tensors(), outputs=asked, parameters={"binary_data_output": True}, id="7"
    )
    header = answer.data[: int(answer.headers[HEADER])]
    assert answer.content_type == "application/octet-stream"
    assert b'"model_name":"churn","model_version":"1","id":"7"' in header
    assert b'"name":"prediction","shape":[4],"datatype":"BOOL","parameters":{"binary_data_size":4}' in header
    assert list(outputs(answer)) == ["probabilities", "prediction"]
    assert outputs(answer) == predicted(client, "churn", MIXED.to_dict(orient="records"))
    plain = infer(client, "churn", *mixed_tensors(), outputs=asked[1:])
    assert plain.content_type == "application/json"
    assert HEADER not in plain.headers
    assert "id" not in plain.json
    assert list(outputs(plain)) == ["prediction"]


def test_values_unlike_those_of_training_are_told_in_a_parameter(client: Client) -> None:
    sent = mixed_binaries()
    sent[0] = binary("age", "FP64", [4], np.array([20.0, 30.0, 200.0, 40.0]).tobytes())
    answer = infer(client, "churn", *sent, parameters={"binary_data_output": True})
    header = json.loads(answer.data[: int(answer.headers[HEADER])])
    (warning,) = json.loads(header["parameters"]["warnings"])
    assert (warning["pointer"], warning["code"]) == ("/inputs/0/data/2", "out_of_range")


def test_without_a_key_the_refusal_has_the_protocols_form(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, require_keys=1, admin_key="k" * 40).test_client()
    refused = infer(client, "churn", *mixed_tensors())
    assert (refused.status_code, list(refused.json)) == (401, ["error"])
    assert client.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize("binary_output", [True, False])
@pytest.mark.parametrize("model", ["wine", "churn", "diabetes", "digits"])
def test_every_type_of_output_in_both_forms(client: Client, model: str, binary_output: bool) -> None:
    example = client.get(f"/models/{model}").json["example"]
    row = example if isinstance(example, dict) else {}
    if model == "digits":
        file = io.BytesIO()
        Image.new("L", (8, 8), 9).save(file, "PNG")
        row = {"image": base64.b64encode(file.getvalue()).decode()}
    datatypes = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}
    sent = [tensor(name, datatypes[type(value)], [value]) for name, value in row.items()]
    answer = infer(client, model, *sent, parameters={"binary_data_output": binary_output})
    assert outputs(answer) == predicted(client, model, [row])


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_decoded_within_the_limit(client: Client, coding: str, compress: Any) -> None:
    described = [each[0] for each in mixed_binaries()]
    body, headers = framed({"inputs": described}, *(each[1] for each in mixed_binaries()))
    headers["Content-Encoding"] = coding
    sent = client.post("/v2/models/churn/infer", data=compress(body), headers=headers)
    assert outputs(sent) == predicted(client, "churn", MIXED.to_dict(orient="records"))
    bomb = client.post("/v2/models/churn/infer", data=compress(b" " * 10**7), headers=headers)
    assert (bomb.status_code, "over the limit of 200000 bytes" in bomb.json["error"]) == (413, True)
    for broken in (body, compress(body)[:-20]):
        answer = client.post("/v2/models/churn/infer", data=broken, headers=headers)
        assert (answer.status_code, f"not {coding}" in answer.json["error"]) == (400, True)
    unknown = client.post("/v2/models/churn/infer", data=b"", headers={"Content-Encoding": "br"})
    assert unknown.status_code == 415


def test_models_are_named_by_version_and_by_alias(client: Client) -> None:
    sent = tensor("x", "FP64", WINE.to_numpy().tolist(), WINE.shape)
    versions = {
        address: infer(client, address, sent).json["model_version"]
        for address in ("wine", "wine@2", "wine@production", "wine/versions/2", "wine/versions/production")
    }
    assert list(versions.values()) == ["1", "2", "1", "2", "1"]
    assert client.get("/v2/models/wine/versions/2").json["properties"]["version"] == "2"
    assert client.get("/v2/models/wine@2/ready").json == {"name": "wine", "ready": True}
    assert client.get("/v2/models/wine/versions/3/ready").status_code == 404
    assert client.get("/v2/models/wine@1/versions/1").status_code == 400


def test_the_server_and_its_models_describe_themselves(client: Client) -> None:
    version = client.get("/health").json["version"]
    assert client.get("/v2").json == {
        "name": "rowmill",
        "version": version,
        "extensions": ["binary_tensor_data"],
    }
    assert client.get("/v2/").status_code == 200
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    churn = client.get("/v2/models/churn").json
    assert churn["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "region", "datatype": "BYTES", "shape": [-1]},
        {"name": "member", "datatype": "BOOL", "shape": [-1]},
        {"name": "visits", "datatype": "INT64", "shape": [-1]},
    ]
    assert churn["outputs"] == [
        {"name": "prediction", "datatype": "BOOL", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert churn["properties"]["classes_of_probabilities"] == '["false", "true"]'
    assert client.get("/v2/models/wine").json["versions"] == ["1", "2"]
    flowers = client.get("/v2/models/flowers").json
    assert flowers["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in flowers["outputs"]] == [
        "prediction_species",
        "prediction_later",
        "probabilities_species",
        "probabilities_later",
    ]
    digits = client.get("/v2/models/digits").json
    assert digits["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]

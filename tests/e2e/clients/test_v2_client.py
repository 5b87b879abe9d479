"""Triton's own client, with the binary tensors that it sends, gets the numbers of POST /predict."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.e2e.conftest import Example

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def triton(url: str) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(url.removeprefix("http://"))
    yield client
    client.close()


def tensor(name: str, values: Any, binary: bool = True) -> InferInput:
    """An input made of an array."""
    array = np.asarray(values)
    made = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def columns(frame: pd.DataFrame, binary: bool = True) -> list[InferInput]:
    """A tensor for each column; words are objects, as pandas users have them."""
    return [
        tensor(name, frame[name].to_numpy(object if frame[name].dtype.kind not in "ifb" else None), binary)
        for name in frame.columns
    ]


def predicted(url: str, model: str, rows: list[Any]) -> list[dict[str, Any]]:
    """What POST /predict says of the same rows."""
    answer = httpx.post(f"{url}/predict", json={"model": model, "instances": rows}, timeout=60)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["predictions"]
    return found


def same(result: InferResult, expected: list[dict[str, Any]]) -> None:
    """Predictions and probabilities are those of POST /predict, to the last bit."""
    labels = result.as_numpy("prediction").tolist()
    texts = [label.decode() if isinstance(label, bytes) else label for label in labels]
    assert texts == [each["prediction"] for each in expected]
    if "probabilities" in expected[0]:
        assert result.as_numpy("probabilities").tolist() == [
            list(each["probabilities"].values()) for each in expected
        ]


def test_the_server_is_alive_ready_and_describes_itself(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]


def test_models_are_ready_and_describe_themselves(triton: InferenceServerClient) -> None:
    assert triton.is_model_ready("mixed")
    assert triton.is_model_ready("mixed@1")
    assert triton.is_model_ready("mixed", "1")
    assert not triton.is_model_ready("mixed", "9")
    assert not triton.is_model_ready("wien")
    described = triton.get_model_metadata("mixed")
    assert described["versions"] == ["1"]
    assert {each["name"]: each["datatype"] for each in described["inputs"]}["taste"] == "BYTES"
    assert triton.get_model_metadata("mixed", "1") == described


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_a_tensor_for_each_column(
    triton: InferenceServerClient,
    url: str,
    examples: dict[str, Example],
    binary: bool,
    compression: str | None,
) -> None:
    rows = examples["mixed"].rows.dropna().head(20)
    result = triton.infer(
        "mixed",
        columns(rows, binary),
        request_id="monday",
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    assert result.get_response()["id"] == "monday"
    same(result, predicted(url, "mixed", rows.to_dict(orient="records")))


def test_gaps_are_nan(triton: InferenceServerClient, url: str, examples: dict[str, Example]) -> None:
    rows = examples["mixed"].rows.head(20)
    assert rows["proline"].isna().any()
    rows = rows[rows["hue"].notna() & rows["taste"].notna() & rows["colour"].notna()]
    records = rows.astype(object).where(rows.notna(), None).to_dict(orient="records")
    same(triton.infer("mixed", columns(rows)), predicted(url, "mixed", records))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_tensor_of_all_columns(
    triton: InferenceServerClient, url: str, examples: dict[str, Example], dtype: type
) -> None:
    values = examples["wine"].rows.head(30).to_numpy(dtype)
    same(triton.infer("wine", [tensor("input-0", values)]), predicted(url, "wine", values.tolist()))


def test_outputs_that_are_asked_for(
    triton: InferenceServerClient, url: str, examples: dict[str, Example]
) -> None:
    rows = examples["diabetes"].rows.head(5)
    asked = [InferRequestedOutput("prediction", binary_data=False)]
    result = triton.infer("diabetes", columns(rows), outputs=asked)
    expected = predicted(url, "diabetes", rows.to_dict(orient="records"))
    assert result.as_numpy("prediction").tolist() == [each["prediction"] for each in expected]
    labels = [InferRequestedOutput("prediction")]
    only = triton.infer("wine", [tensor("x", examples["wine"].rows.head(2).to_numpy())], outputs=labels)
    assert only.as_numpy("probabilities") is None


def test_texts(triton: InferenceServerClient, url: str, sentiment: Example) -> None:
    column = sentiment.rows.columns[0]
    texts = sentiment.rows[column].head(10).tolist()
    same(
        triton.infer("sentiment", [tensor(column, np.array(texts, dtype=object))]),
        predicted(url, "sentiment", texts),
    )


def test_images(triton: InferenceServerClient, url: str) -> None:
    files = []
    for shade in (0, 90, 255):
        file = io.BytesIO()
        Image.new("L", (8, 8), shade).save(file, "PNG")
        files.append(file.getvalue())
    parts = [("image", file) for file in files]
    answer = httpx.post(f"{url}/predict", data={"model": "digits"}, files=parts, timeout=60).json()
    same(triton.infer("digits", [tensor("image", np.array(files, dtype=object))]), answer["predictions"])


def test_many_requests_at_once(url: str, examples: dict[str, Example]) -> None:
    values = examples["wine"].rows.head(30).to_numpy()
    expected = predicted(url, "wine", values.tolist())
    client = InferenceServerClient(url.removeprefix("http://"), concurrency=4)
    waiting = [client.async_infer("wine", [tensor("x", values)]) for _ in range(40)]
    for each in waiting:
        same(each.get_result(), expected)
    client.close()


def refusal(call: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    """Status and message of the client's own exception: it could read the refusal."""
    with pytest.raises(InferenceServerException) as caught:
        call(*arguments, **options)
    return str(caught.value.status()), str(caught.value.message())


def test_refusals_are_read_by_the_client(triton: InferenceServerClient, examples: dict[str, Example]) -> None:
    rows = examples["wine"].rows.head(1)
    inputs = [tensor("x", rows.to_numpy())]
    assert refusal(triton.infer, "wien", inputs)[0] == "404"
    assert refusal(triton.infer, "wine", inputs, model_version="9")[0] == "404"
    status, text = refusal(triton.infer, "wine", [tensor("x", rows.to_numpy()[:, 1:])])
    assert (status, "has 13 columns" in text) == ("400", True)
    status, text = refusal(triton.infer, "wine", columns(rows)[1:])
    assert (status, "'alcohol' is missing" in text) == ("400", True)
    status, text = refusal(triton.infer, "wine", [tensor("x", np.full((1, 13), np.inf))])
    assert (status, "too large" in text) == ("400", True)
    status, text = refusal(triton.infer, "wine", [tensor("x", np.ones((1001, 13)))])
    assert (status, "POST /jobs" in text) == ("413", True)
    classified = [InferRequestedOutput("prediction", class_count=2)]
    assert refusal(triton.infer, "wine", inputs, outputs=classified)[0] == "400"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get_model_config("wine"),
        lambda client: client.get_inference_statistics("wine"),
        lambda client: client.get_inference_statistics(),
        lambda client: client.get_model_repository_index(),
        lambda client: client.load_model("wine"),
        lambda client: client.get_system_shared_memory_status(),
        lambda client: client.get_trace_settings(),
    ],
)
def test_extensions_that_are_not_there_are_told_as_such(triton: InferenceServerClient, ask: Any) -> None:
    status, text = refusal(ask, triton)
    assert (status, "an exception occurred in the client" in text) == ("404", False)

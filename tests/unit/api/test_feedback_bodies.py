"""What is wrong with labels that are sent as JSON is told with its place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Client


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"labels": []}, "/labels"),
        ({"labels": [{"key": "a"}]}, "/labels/0"),
        ({"labels": [{"key": "a", "label": 1}, {"row": 1, "label": 1}]}, "/labels/1"),
        ({"labels": [{"key": "a", "prediction_id": "b", "label": 1}]}, "/labels/0"),
        ({"labels": [{"key": "", "label": 1}]}, "/labels/0"),
        ({"labels": [{"key": "a\0", "label": 1}]}, "/labels/0"),
        ({"labels": [{"key": "a", "label": "\ud800"}]}, "/labels/0"),
        ({"labels": [{"key": "a", "label": [1]}]}, "/labels/0"),
        ({"labels": [{"key": "a", "label": 1}], "jobs": "x"}, "/jobs"),
        ({"labels": [{"key": "a", "label": 1}], "model": 7}, "/model"),
        ({"labels": "many"}, "/labels"),
    ],
)
def test_what_is_wrong_with_json_is_told_with_its_place(client: Client, body: Any, pointer: str) -> None:
    answer = client.post("/feedback", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize(
    "query", ["row=a", "job=x&model=wine", "key=a&prediction_id=b", "label=a", "job=%0A"]
)
def test_options_that_mean_nothing_here_are_refused(client: Client, query: str) -> None:
    body = {"labels": [{"prediction_id": "a", "label": 1}]}
    assert client.post(f"/feedback?{query}", json=body).status_code in (404, 422)


def test_without_a_model_a_key_means_nothing_if_there_are_several(client: Client) -> None:
    answer = client.post("/feedback", json={"labels": [{"key": "a", "label": 1}]})
    assert (answer.status_code, answer.json["code"]) == (400, "model_required")


def test_json_without_labels_is_no_file(client: Client) -> None:
    answer = client.post("/feedback", data=b'{"labels": 7}')
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")

"""True labels joined to single predictions, by id and by key, and what they tell of a version over time."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from api import feedback_routes
from api.turns import Turns
from base.access import keys
from base.access.callers import Role
from base.database.tables import predictions
from jobs.feedback import joining
from jobs.feedback.log import PredictionLog
from tests.conftest import Clock
from tests.contract.conftest import Served
from tests.contract.test_feedback import (
    accuracy,
    labels_of,
    predict,
    send,
)


def test_labels_meet_single_predictions_by_id_and_by_key(noting: Served) -> None:
    answers = [predict(noting, row, f"bottle-{row}") for row in range(0, 170, 17)]
    pairs = [(answer["prediction_id"], answer["prediction"]) for answer in answers]
    by_id = [{"prediction_id": name, "label": label} for name, label in pairs[:5]]
    by_key = [{"key": f"bottle-{17 * row}", "label": (pairs[row][1] + 1) % 3} for row in range(5, 9)]
    body = json.dumps({"labels": [*by_id, *by_key, {"key": "bottle-1000", "label": 1}]})
    for _ in range(2):
        told = send(noting, body)
        assert told["labels"] == {"sent": 10, "joined": 9, "unknown": 1, "unusable": 0, "unseen": 0}
        [version] = accuracy(noting)
        assert (version["version"], version["predictions"], version["labelled"]) == (1, 10, 9)
        assert version["accuracy"] == pytest.approx(5 / 9)
        assert version["coverage"] == 0.9


def test_a_file_of_labels_meets_single_predictions(noting: Served) -> None:
    answers = [predict(noting, row, f"k{row}") for row in range(4)]
    by_key = pd.DataFrame(
        {"key": [f"k{row}" for row in range(4)], "label": [a["prediction"] for a in answers]}
    )
    assert send(noting, by_key)["labels"]["joined"] == 4
    by_id = pd.DataFrame({"made": [a["prediction_id"] for a in answers], "label": [9, 9, 9, ""]})
    told = send(noting, by_id, prediction_id="made")
    assert (told["labels"]["joined"], told["labels"]["unusable"]) == (3, 1)
    [version] = accuracy(noting)
    assert version["accuracy"] == 0.25


def test_a_key_means_the_predictions_of_one_model(noting: Served) -> None:
    predict(noting, 1, "same")
    log, manifest = prediction_log(noting), noting.workshop.registry.resolve("wine")
    log.add("local", "same", manifest.model_copy(update={"name": "cellar"}), 1)
    sent = {"model": "wine", "labels": [{"key": "same", "label": 1}]}
    assert send(noting, json.dumps(sent))["labels"]["joined"] == 1
    query = select(predictions.c.model_name).where(predictions.c.labelled_at.is_not(None))
    with noting.workshop.database.reading() as connection:
        assert connection.execute(query).scalars().all() == ["wine"]
    other = noting.client.post("/feedback", json={**sent, "model": "nobody"})
    assert (other.status_code, other.json["code"]) == (404, "unknown_model")


def prediction_log(served: Served) -> PredictionLog:
    log = served.client.application.extensions["prediction_log"]
    assert isinstance(log, PredictionLog)
    return log


def test_accuracy_over_time(noting: Served, clock: Clock) -> None:
    for day, right in enumerate((4, 3, 1)):
        for row in range(4):
            key = f"{day}-{row}"
            label = predict(noting, row, key)["prediction"] + (0 if row < right else 1)
            send(noting, json.dumps({"labels": [{"key": key, "label": label % 3}]}))
        clock.advance(24 * 3600)
    [version] = accuracy(noting, window="30d")
    assert version["accuracy"] == pytest.approx(8 / 12)
    assert [step["accuracy"] for step in version["over_time"]] == [1.0, 0.75, 0.25]
    assert all(step["to"][:10] > step["from"][:10] for step in version["over_time"])
    [recent] = accuracy(noting, window="36h", version="1")
    assert recent["accuracy"] == 0.25
    assert noting.client.get("/models/wine/accuracy?version=7").json["code"] == "unknown_version"
    assert noting.client.get("/models/vine/accuracy").json["code"] == "unknown_model"
    assert noting.client.get("/models/wine/accuracy?window=soon").json["code"] == "bad_option"
    assert noting.client.get("/models/wine/accuracy?days=3").json["code"] == "unknown_option"


def test_owners_do_not_meet(asking: None, noting: Served) -> None:
    alice, bob, admin = (
        {"X-API-Key": keys.add(noting.workshop.database, owner, role)[1]}
        for owner, role in (("alice", Role.SUBMIT), ("bob", Role.SUBMIT), ("root", Role.ADMIN))
    )
    answers = {name: predict(noting, 3, "same", headers=who) for name, who in (("a", alice), ("b", bob))}
    by_key = json.dumps({"labels": [{"key": "same", "label": 2}]})
    by_id = json.dumps({"labels": [{"prediction_id": answers["a"]["prediction_id"], "label": 2}]})
    assert send(noting, by_id, bob)["labels"]["unknown"] == 1
    assert send(noting, by_key, bob)["labels"]["joined"] == 1
    assert [version["labelled"] for version in accuracy(noting, alice)] == [0]
    assert [version["labelled"] for version in accuracy(noting, bob)] == [1]
    assert [version["predictions"] for version in accuracy(noting, admin)] == [2]
    assert [version["alarm"] for version in accuracy(noting, admin)] == [None]
    assert "alarm" not in accuracy(noting, bob)[0]
    assert send(noting, by_id, admin)["labels"]["joined"] == 1
    assert [version["labelled"] for version in accuracy(noting, alice)] == [1]
    reader = {"X-API-Key": keys.add(noting.workshop.database, "alice", Role.READ)[1]}
    assert noting.client.post("/feedback", data=by_key, headers=reader).status_code == 403
    assert accuracy(noting, reader) == accuracy(noting, alice)


@pytest.mark.parametrize("known", [[], [99]])
def test_somebody_elses_labels_are_not_lost(
    served: Served, scored: Any, monkeypatch: pytest.MonkeyPatch, known: list[int]
) -> None:
    for row in known:
        send(served, json.dumps({"job": scored["id"], "labels": [{"row": row, "label": 0}]}))
    labels = labels_of(served, scored, wrong=0)
    options = {"job": scored["id"], "key": "id", "label": "cultivar"}
    measure, sent = joining.measure, list[int]()

    def slowly(*arguments: Any) -> Any:
        if not sent:  # while the first are being joined, others come and are faster
            sent.append(1)
            monkeypatch.setattr(feedback_routes, "_turns", Turns(waiting=0, seconds=60))  # in another process
            send_json = [{"row": row, "label": 0} for row in range(90, 100)]
            send(served, json.dumps({"job": scored["id"], "labels": send_json}))
        return measure(*arguments)

    monkeypatch.setattr("jobs.feedback.of_jobs.measure", slowly)
    told = send(served, labels[:50], **options)
    assert told["job"]["labelled"] == 60

"""True labels joined to the results of jobs, and what they tell of a version."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from api import feedback_routes
from api.turns import Turns
from base.files import ORPHAN_AGE_SECONDS
from jobs import results
from jobs.caretaker import expire_jobs
from jobs.feedback import joining, matching, pieces
from jobs.orphans import remove_orphans
from tests.conftest import Clock
from tests.contract.conftest import Served

ROWS = 100

# What is about files and processes does not depend on the database.
ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def result_of(served: Served, job: dict[str, Any]) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(served.result(job)))


def labels_of(served: Served, job: dict[str, Any], wrong: int) -> pd.DataFrame:
    """True labels by ``id``, of which the first so many differ from the prediction."""
    result = result_of(served, job)
    labels = result["prediction"].to_numpy().copy()
    labels[:wrong] = (labels[:wrong] + 1) % 3
    return pd.DataFrame({"id": result["id"], "cultivar": labels})


def send(served: Served, body: Any, headers: dict[str, str] | None = None, **options: Any) -> Any:
    data = body.to_csv(index=False).encode() if isinstance(body, pd.DataFrame) else body
    answer = served.client.post("/feedback", query_string=options, data=data, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def accuracy(served: Served, headers: dict[str, str] | None = None, **options: Any) -> Any:
    answer = served.client.get("/models/wine/accuracy", query_string=options, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json["versions"]


def refused(served: Served, data: Any, **options: Any) -> tuple[int, str]:
    answer = served.client.post("/feedback", query_string=options, data=data)
    return answer.status_code, answer.json["code"]


def predict(served: Served, row: int, key: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"features": served.rows.iloc[row].to_dict(), **({"key": key} if key else {})}
    answer = served.client.post("/predict?model=wine", json=body, **more)
    found: dict[str, Any] = answer.json
    return found


def as_file(labels: pd.DataFrame, form: str) -> bytes:
    file = io.BytesIO()
    if form == "parquet":
        labels.to_parquet(file)
    elif form == "jsonl":
        labels.to_json(file, orient="records", lines=True)
    else:
        labels.to_csv(file, index=False, compression="gzip" if form == "csv.gz" else None)
    return file.getvalue()


@ONE_KIND
def test_a_file_of_labels_is_joined_to_a_job_by_key(served: Served, scored: Any) -> None:
    for wrong, form in enumerate(["csv", "csv.gz", "parquet", "jsonl"]):
        labels = labels_of(served, scored, wrong).sample(frac=1, random_state=3)
        told = send(served, as_file(labels, form), job=scored["id"], key="id", label="cultivar")
        assert told["labels"] == {"sent": 100, "joined": 100, "unknown": 0, "unusable": 0, "unseen": 0}
        assert told["job"]["accuracy"] == pytest.approx(1 - wrong / 100)
        assert told["job"]["coverage"] == 1
        [version] = accuracy(served)
        assert (version["predictions"], version["labelled"]) == (100, 100)
        assert version["accuracy"] == pytest.approx(1 - wrong / 100)


def test_labels_come_in_parts_and_again(served: Served, scored: Any) -> None:
    labels = labels_of(served, scored, wrong=7)
    options = {"job": scored["id"], "key": "id", "label": "cultivar"}
    first = send(served, labels[:40], **options)["job"]
    assert (first["labelled"], first["coverage"]) == (40, 0.4)
    assert first["accuracy"] == pytest.approx(33 / 40)
    second = send(served, labels[30:], **options)["job"]
    assert (second["labelled"], second["accuracy"]) == (100, pytest.approx(0.93))
    assert send(served, labels, **options)["job"] == second
    right = labels_of(served, scored, wrong=0)[:7]
    assert send(served, right, **options)["job"]["accuracy"] == 1
    folder = served.workshop.files.path(f"jobs/{scored['id']}")
    assert len(list(folder.glob("labels-*"))) == 1


@ONE_KIND
def test_many_blocks_and_pieces_give_what_one_does(
    served: Served, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    labels = labels_of(served, scored, wrong=7)
    for part in (labels[60:], labels[:60], labels[20:50]):
        told = send(served, part, job=scored["id"], key="id", label="cultivar")
    assert told["job"]["accuracy"] == pytest.approx(0.93)
    some = [{"row": row, "label": int(labels["cultivar"][row])} for row in (1, 52)]
    assert send(served, json.dumps({"job": scored["id"], "labels": some}))["labels"]["joined"] == 2
    by_row = labels.assign(row=range(ROWS)).sample(frac=1, random_state=1)
    told = send(served, by_row, job=scored["id"], row="row", label="cultivar")
    assert told["labels"]["joined"] == 100
    assert told["job"]["accuracy"] == pytest.approx(0.93)


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a hundred labels and rows were a hundred million."""
    monkeypatch.setattr(matching, "BLOCK_ROWS", 7)
    monkeypatch.setattr(joining, "PIECE_ROWS", 7)
    monkeypatch.setattr(pieces, "PIECE_ROWS", 7)


@ONE_KIND
def test_however_many_labels_there_are_the_result_is_read_as_often(
    served: Served, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, reads = results.opened, list[str]()

    def counted(path: Path) -> Any:
        reads.append(path.name)
        return opened(path)

    monkeypatch.setattr(pieces, "opened", counted)
    small_blocks(monkeypatch)
    labels = labels_of(served, scored, wrong=0)
    for some in (labels[:1], labels):
        reads.clear()
        send(served, some.to_csv(index=False), job=scored["id"], key="id", label="cultivar")
        assert len(reads) < 10


@ONE_KIND
def test_a_key_that_is_sent_twice_has_its_later_label(
    served: Served, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch)
    right = labels_of(served, scored, wrong=0)["cultivar"]
    keys = ["x9", "3", "x1", "3", "x5", "x1", "4"]
    labels = [0, (right[3] + 1) % 3, 0, right[3], 0, 0, 17]
    sent = [{"key": key, "label": int(label)} for key, label in zip(keys, labels, strict=True)]
    told = send(served, json.dumps({"job": scored["id"], "key": "id", "labels": sent}))
    assert told["labels"] == {"sent": 7, "joined": 3, "unknown": 4, "unusable": 0, "unseen": 1}
    assert (told["unknown_keys"], told["unseen_labels"]) == (["x9", "x1", "x5"], ["17"])
    assert told["job"]["accuracy"] == 0.5


@ONE_KIND
def test_a_file_may_come_as_a_form_or_by_put(served: Served, scored: Any) -> None:
    labels = labels_of(served, scored, wrong=7).to_csv(index=False).encode()
    form = {"file": (io.BytesIO(labels), "labels.csv"), "job": scored["id"], "key": "id", "label": "cultivar"}
    by_form = served.client.post("/feedback", data=form)
    options = {"job": scored["id"], "key": "id", "label": "cultivar"}
    by_put = served.client.put("/feedback", query_string=options, data=labels)
    assert by_form.json == by_put.json
    assert by_put.json["job"]["accuracy"] == pytest.approx(0.93)


def test_rows_by_number_or_in_order(served: Served, scored: Any) -> None:
    labels = labels_of(served, scored, wrong=5)["cultivar"]
    some = [{"row": row, "label": int(labels[row % ROWS])} for row in (0, 4, 50, 200)]
    told = send(served, json.dumps({"job": scored["id"], "labels": some}))
    assert (told["labels"]["joined"], told["unknown_keys"]) == (3, ["200"])
    assert told["job"]["accuracy"] == pytest.approx(1 / 3)
    told = send(served, labels.to_frame(), job=scored["id"], label="cultivar")
    assert told["job"]["accuracy"] == 0.95
    few = labels[:99].to_frame().to_csv(index=False)
    assert refused(served, few, job=scored["id"], label="cultivar") == (422, "row_count")


def test_what_met_nothing_is_told(served: Served, scored: Any) -> None:
    sent = [
        {"key": "3", "label": 1},
        {"key": "nobody", "label": 1},
        {"key": "4", "label": "red"},
        {"key": "5", "label": None},
        {"key": "6", "label": 17},
    ]
    told = send(served, json.dumps({"job": scored["id"], "key": "id", "labels": sent}))
    assert told["labels"] == {"sent": 5, "joined": 2, "unknown": 1, "unusable": 2, "unseen": 1}
    assert (told["unknown_keys"], told["unusable_labels"], told["unseen_labels"]) == (
        ["nobody"],
        ["red"],
        ["17"],
    )
    assert told["job"]["labelled"] == 2


def test_what_can_only_be_a_mistake_is_refused(served: Served, scored: Any) -> None:
    job = scored["id"]
    words = pd.DataFrame({"id": range(3), "label": ["red", "white", "rosé"]}).to_csv(index=False).encode()
    strange = pd.DataFrame({"id": range(3), "label": 9}).to_csv(index=False)
    assert refused(served, words, job=job, key="id") == (422, "no_label_fits")
    assert refused(served, strange, job=job, key="id") == (422, "no_label_fits")
    assert refused(served, strange, job=job, key="label") == (422, "bad_option")
    assert refused(served, b"hue,label\n1,2\n", job=job, key="hue") == (422, "unknown_column")
    assert refused(served, strange, job=job, key="id", label="cultivar") == (422, "missing_column")
    assert refused(served, strange, job=job, key="id", row="id") == (422, "bad_option")
    assert refused(served, strange, job="nobody", key="id") == (404, "job_not_found")
    assert refused(served, strange, jobs=job) == (422, "unknown_option")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("labels.csv", strange)
    assert refused(served, archive.getvalue(), job=job) == (422, "wrong_input_kind")
    waiting = served.submit(10)
    assert refused(served, strange, job=waiting["id"], row="id") == (409, "not_finished")
    assert accuracy(served) == []


@ONE_KIND
def test_what_is_known_of_a_job_is_no_orphan(served: Served, scored: Any) -> None:
    labels = labels_of(served, scored, wrong=5)
    options = {"job": scored["id"], "key": "id", "label": "cultivar"}
    send(served, labels[:50], **options)
    folder = served.workshop.files.path(f"jobs/{scored['id']}")
    shutil.copy(next(folder.glob("labels-*")), folder / "labels-left.parquet")  # by a process that died
    long_ago = time.time() - 2 * ORPHAN_AGE_SECONDS
    for path in [*folder.glob("labels-*"), folder]:
        os.utime(path, (long_ago, long_ago))
    remove_orphans(served.workshop)
    assert not (folder / "labels-left.parquet").exists()
    assert send(served, labels[50:], **options)["job"]["labelled"] == 100


def test_what_is_known_stays_when_the_result_goes(served: Served, scored: Any, clock: Clock) -> None:
    labels = labels_of(served, scored, wrong=5)
    options = {"job": scored["id"], "key": "id", "label": "cultivar"}
    send(served, labels, **options)
    clock.advance(8 * 24 * 3600)
    expire_jobs(served.workshop)
    assert not list(served.workshop.files.root.glob("jobs/*/*"))
    assert refused(served, labels.to_csv(index=False), **options) == (410, "result_expired")
    [version] = accuracy(served)
    assert version["accuracy"] == 0.95


def test_labels_go_with_their_job(served: Served, scored: Any, clock: Clock) -> None:
    send(served, labels_of(served, scored, wrong=5), job=scored["id"], key="id", label="cultivar")
    assert accuracy(served) != []
    assert served.client.delete(f"/jobs/{scored['id']}").status_code == 204
    assert accuracy(served) == []


@pytest.mark.parametrize("end", ["expired", "deleted", "expired and known before"])
def test_labels_of_a_job_that_goes_meanwhile_are_refused_and_leave_nothing(
    served: Served, scored: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    if end == "expired and known before":
        send(served, json.dumps({"job": scored["id"], "labels": [{"row": 99, "label": 0}]}))
    before, measure = accuracy(served), joining.measure

    def slowly(*arguments: Any) -> Any:
        measured = measure(*arguments)
        if end == "deleted":
            served.client.delete(f"/jobs/{scored['id']}")
        else:
            clock.advance(8 * 24 * 3600)
            expire_jobs(served.workshop)
        return measured

    monkeypatch.setattr("jobs.feedback.of_jobs.measure", slowly)
    body = json.dumps({"job": scored["id"], "labels": [{"row": 1, "label": 0}]})
    assert refused(served, body) == ((404, "job_not_found") if end == "deleted" else (410, "result_expired"))
    assert accuracy(served) == before
    assert not list(served.workshop.files.root.glob("jobs/*"))


@ONE_KIND
def test_labels_of_jobs_wait_for_their_turn(
    noting: Served, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(waiting=0, seconds=600)
    monkeypatch.setattr(feedback_routes, "_turns", turns)
    body = json.dumps({"job": scored["id"], "labels": [{"row": 1, "label": 0}]})
    made = predict(noting, 1)["prediction_id"]
    with turns.turn("somebody else"):
        for sent in (body, b"label\n1\n"):
            busy = noting.client.post(f"/feedback?job={scored['id']}", data=sent)
            assert (busy.status_code, busy.json["code"]) == (503, "queue_full"), busy.text
            assert int(busy.headers["Retry-After"]) > 0
        single = json.dumps({"labels": [{"prediction_id": made, "label": 1}]})
        assert send(noting, single)["labels"]["joined"] == 1
    assert send(noting, body)["labels"]["joined"] == 1

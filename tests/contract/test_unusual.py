"""Values that training had nothing like, in jobs: refused, clipped or counted by their column's policy."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from models.adding import NewVersion
from models.policies import Policies
from tests.builders import trained_wine
from tests.contract.conftest import Served

ASKED = Policies(columns={"ash": "refuse", "alcohol": "clip"}, max_z=100)
REFUSED = {"out_of_range:ash": 2, "far_from_mean:ash": 2}
WARNINGS = [
    "Column 'alcohol' has 1 value unlike those of training (far_from_mean): more than 100 standard",
    "Column 'alcohol' has 3 values unlike those of training (out_of_range): training had 11.03 to 14.83; "
    "taken as the nearest of 11.03 to 14.83.",
    "Column 'hue' has 2 values unlike those of training (out_of_range): training had 0.48 to 1.71.",
]


def test_each_policy_in_a_job_and_in_its_retry(served: Served, tmp_path: Path) -> None:
    model, sample = trained_wine(tmp_path)
    served.workshop.registry.add(NewVersion("wine", model, sample=sample, policies=ASKED))
    usual, odd = served.rows.copy(), served.rows
    odd.loc[[0, 1, 60], "alcohol"] = [15.0, 1000.0, 0.0]
    odd.loc[[3, 70], "hue"] = 9.0
    odd.loc[[3, 99], "ash"] = 99.0
    odd.loc[4, "hue"] = 9.0
    usual.loc[[0, 1, 60], "alcohol"] = [14.83, 14.83, 11.03]
    parent = served.submit()
    served.plan(parent)
    served.score(parent, 0)
    served.fail(parent, 2)
    before = served.job(parent)["warnings"]
    job = served.work(served.post(f"/jobs/{parent['id']}/retry").json)
    assert (job["status"], job["error_counts"]) == ("succeeded", REFUSED)
    assert job["warnings"][: len(before)] == before
    told = job["warnings"][len(before) :]
    assert [full.startswith(start) for full, start in zip(told, WARNINGS, strict=True)] == [True] * 3
    answered = pd.read_parquet(io.BytesIO(served.result(job)))
    assert answered["error"].dropna().to_dict() == {3: "out_of_range", 99: "out_of_range"}
    clipped = served.client.post("/predict", json={"instances": usual.iloc[[0, 1, 60]].to_dict("records")})
    found = [each["probabilities"] for each in clipped.json["predictions"]]
    columns = [f"probability_{number}" for number in range(3)]
    assert answered.loc[[0, 1, 60], columns].to_numpy().tolist() == [list(each.values()) for each in found]


def test_a_dry_run_warns_of_what_it_saw(served: Served) -> None:
    served.rows.loc[[0, 1], "ash"] = -1.0
    answer = served.client.post("/jobs?model=wine&dry_run=1", data=served.csv()).json
    assert "Column 'ash' has 2 values unlike those of training (out_of_range)" in answer["warnings"][-1]

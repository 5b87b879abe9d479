"""What was scored of a job can be had before it ends, and if it never ends well; gaps are named."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.contract.conftest import Served


def read(content: bytes) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The table, and what its metadata say is missing."""
    table = pq.read_table(pa.BufferReader(content))
    return table, json.loads(table.schema.metadata[b"rowmill.missing_rows"])


def test_what_is_scored_comes_in_order_with_its_gaps(served: Served) -> None:
    job = served.submit(keep="id")
    count = served.plan(job)
    assert count > 3
    served.score(job, 2, 0)
    assert served.get(f"/jobs/{job['id']}/result").status_code == 409
    answer = served.get(f"/jobs/{job['id']}/result?partial=1")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=input.partial.parquet"
    table, missing = read(answer.data)
    ids = [int(number) for number in table.column("id").to_pylist()]
    first = ids.index(next(number for position, number in enumerate(ids) if number != position))
    assert ids == sorted(ids)
    assert missing[0] == {"position": first, "row": first, "rows": None}  # text that nobody read yet
    assert missing[1] == {"position": len(ids), "row": None, "rows": None}
    assert answer.headers["X-Rowmill-Missing-Rows"] == f"{first}-?, ?-?"
    ended = served.work(job)
    whole = pq.read_table(pa.BufferReader(served.get(ended["links"]["result"]).data)).to_pandas()
    partial = table.to_pandas()
    pd.testing.assert_frame_equal(whole[whole["id"].isin(partial["id"])].reset_index(drop=True), partial)


def test_rows_of_parquet_are_counted_though_nobody_read_them(served: Served) -> None:
    body = io.BytesIO()
    served.rows.to_parquet(body)
    query = {"model": "wine", "chunk_rows": 50}
    job = served.client.post("/jobs", query_string=query, data=body.getvalue()).json
    unplanned = served.get(f"/jobs/{job['id']}/result?partial=1")
    assert unplanned.headers["X-Rowmill-Missing-Rows"] == f"0-{len(served.rows) - 1}"
    assert served.plan(job) == 4
    served.score(job, 2)
    served.client.post(f"/jobs/{job['id']}/cancel")
    links = served.job(job)["links"]
    answer = served.get(links["partial_result"])
    table, missing = read(answer.data)
    assert len(table) == 44
    assert missing == [{"position": 0, "row": 0, "rows": 89}, {"position": 44, "row": 133, "rows": 45}]
    assert answer.headers["X-Rowmill-Missing-Rows"] == "0-88, 133-177"


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_what_an_ended_job_scored_stays(served: Served, end: str) -> None:
    job = served.submit(on_error="fail", keep="id")
    served.plan(job)
    served.score(job, 0)
    if end == "cancelled":
        served.client.post(f"/jobs/{job['id']}/cancel")
    else:
        served.fail(job, 1)
    assert served.job(job)["status"] == end
    refused = served.get(f"/jobs/{job['id']}/result")
    assert refused.status_code == 409
    assert "?partial=1" in refused.json["detail"]
    table, _ = read(served.get(f"/jobs/{job['id']}/result?partial=1").data)
    csv = served.get(f"/jobs/{job['id']}/result.csv?partial=1")
    assert pd.read_csv(io.BytesIO(csv.data))["id"].tolist() == [
        int(n) for n in table.column("id").to_pylist()
    ]
    lines = served.get(f"/jobs/{job['id']}/result.jsonl?partial=1").text.splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == table.column("prediction").to_pylist()


def test_a_finished_job_has_no_parts_missing(served: Served) -> None:
    job = served.work(served.submit())
    answer = served.get(f"/jobs/{job['id']}/result?partial=1")
    assert answer.headers["ETag"] == f'"{job["result"]["sha256"]}"'
    assert "X-Rowmill-Missing-Rows" not in answer.headers
    assert "partial_result" not in job["links"]


def test_partial_is_yes_or_no(served: Served) -> None:
    job = served.submit()
    answer = served.get(f"/jobs/{job['id']}/result?partial=some")
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")


def test_a_part_that_is_damaged_breaks_the_answer_off(served: Served) -> None:
    job = served.submit()
    served.plan(job)
    served.score(job, 0, 1)
    for part in (served.workshop.files.root / "jobs").rglob("000001-*.parquet"):
        part.write_bytes(b"PAR1")
    with pytest.raises(Exception, match="chunk 1"):
        served.get(f"/jobs/{job['id']}/result?partial=1").data  # noqa: B018 - reading is what fails

"""Reading jobs and results as users do: DuckDB, Polars, pandas and curl on the URL as it stands."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_httpfs
import httpx
import pandas as pd
import polars as pl
import pytest

from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import curl, score, submit, wait

ROWS = 4000


@pytest.fixture(scope="module")
def body(examples: dict[str, Example]) -> bytes:
    rows = examples["wine"].rows.sample(ROWS, replace=True, random_state=3)
    return rows.to_csv(index=False).encode()


@pytest.fixture(scope="module")
def job(url: str, body: bytes) -> dict[str, Any]:
    return score(url, body, model="wine", chunk_rows=1000, name="reading", tags="r1,r2", outputs="confidence")


@pytest.fixture(scope="module")
def file_url(url: str, job: dict[str, Any]) -> str:
    target: str = url + job["links"]["result"]
    assert target.endswith(".parquet")
    return target


@pytest.fixture(scope="module")
def content(file_url: str) -> bytes:
    return httpx.get(file_url).content


def test_pandas_reads_the_url(file_url: str, content: bytes) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(file_url), pd.read_parquet(io.BytesIO(content)))


def test_polars_reads_the_url(file_url: str, content: bytes) -> None:
    counted = pl.scan_parquet(file_url).group_by("prediction").len().collect()
    expected = pl.read_parquet(content).group_by("prediction").len()
    assert sorted(counted.rows()) == sorted(expected.rows())


def test_duckdb_reads_the_url(file_url: str, content: bytes) -> None:
    connection = duckdb.connect()
    extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
    connection.execute(f"LOAD '{extension}'")
    found = connection.execute("SELECT count(*), sum(confidence) FROM read_parquet(?)", [file_url]).fetchone()
    table = pd.read_parquet(io.BytesIO(content))
    assert found == (len(table), pytest.approx(table["confidence"].sum()))


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-8", 206, slice(-8, None)),
        ("bytes=-99999999", 206, slice(0, None)),  # the whole file, not 416
        ("bytes=5-99999999", 206, slice(5, None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,5-6", 200, slice(0, None)),
        ("bytes=9-3", 200, slice(0, None)),
        ("bytes=abc", 200, slice(0, None)),
        ("rows=0-5", 200, slice(0, None)),
    ],
)
def test_ranges_are_those_of_rfc_9110(
    file_url: str, content: bytes, header: str, status: int, part: slice | None
) -> None:
    answer = httpx.get(file_url, headers={"Range": header})
    assert answer.status_code == status
    if part is not None:
        assert answer.content == content[part]
    assert ("Content-Range" in answer.headers) == (status != 200)


def test_the_file_behaves_like_a_static_one(file_url: str, content: bytes, job: dict[str, Any]) -> None:
    head = httpx.head(file_url)
    digest = hashlib.sha256(content).digest()
    assert head.headers["Content-Length"] == str(len(content))
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert job["result"]["sha256"] == digest.hex()
    etag = head.headers["ETag"]
    assert httpx.get(file_url, headers={"If-None-Match": etag}).status_code == 304
    fresh = httpx.get(file_url, headers={"Range": "bytes=0-3", "If-Range": etag})
    assert (fresh.status_code, fresh.content) == (206, b"PAR1")
    for validator in (f"W/{etag}", "Fri, 20 Nov 2015 08:00:00 GMT", "no validator"):
        other = httpx.get(file_url, headers={"Range": "bytes=0-3", "If-Range": validator})
        assert (other.status_code, other.content) == (200, content), validator
    dated = httpx.get(file_url, headers={"Range": "bytes=0-3", "If-Range": head.headers["Last-Modified"]})
    assert dated.status_code == 206
    part = httpx.head(file_url, headers={"Range": "bytes=-4"})
    assert (part.status_code, part.headers["Content-Length"]) == (206, "4")
    gone = httpx.get(file_url, headers={"Range": "bytes=0-3", "If-Match": '"other"'})
    assert gone.status_code == 412
    stale = httpx.get(file_url, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, len(content))


def test_curl_goes_on_where_it_stopped(file_url: str, content: bytes, tmp_path: Path) -> None:
    target = tmp_path / "result.parquet"
    target.write_bytes(content[:1000])
    subprocess.run(["curl", "-sS", "-C", "-", "-o", target, file_url], check=True)
    assert target.read_bytes() == content


def test_views_have_the_same_rows(url: str, job: dict[str, Any], content: bytes) -> None:
    table = pd.read_parquet(io.BytesIO(content))
    text = httpx.get(url + job["links"]["result_csv"]).content
    from_csv = pd.read_csv(io.BytesIO(text), dtype={"error": object})
    pd.testing.assert_frame_equal(from_csv, table, check_dtype=False, rtol=0, atol=1e-15)
    lines = httpx.get(url + job["links"]["result_jsonl"]).text.splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == table["prediction"].tolist()
    preview = httpx.get(url + job["links"]["preview"]).json()["rows"]
    assert [row["confidence"] for row in preview] == table["confidence"].tolist()[:20]


def test_a_job_tells_when_it_changed(url: str, job: dict[str, Any]) -> None:
    answer = httpx.get(f"{url}/jobs/{job['id']}")
    again = httpx.get(f"{url}/jobs/{job['id']}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert answer.json()["rows"] == {"total": ROWS, "done": ROWS, "failed": 0}
    assert answer.json()["rows_per_second"] > 0


def test_jobs_are_listed_by_what_they_are(url: str, job: dict[str, Any], body: bytes) -> None:
    def ids(**filters: str) -> list[str]:
        return [found["id"] for found in httpx.get(f"{url}/jobs", params=filters).json()["jobs"]]

    assert ids(tag="r2", status="succeeded", model="wine@1") == [job["id"]]
    assert ids(tag="r3") == []
    submit(url, body, model="wine")
    first = httpx.get(f"{url}/jobs", params={"limit": 1})
    second = httpx.get(url + first.headers["Link"].split(">")[0][1:])
    assert second.json()["jobs"][0]["id"] < first.json()["jobs"][0]["id"]
    refused = httpx.get(f"{url}/jobs", params={"status": "done"})
    assert (refused.status_code, "succeeded" in refused.text) == (422, True)


def test_results_of_a_job_that_runs_are_409(stack: Stack, body: bytes) -> None:
    running = submit(stack.url, body, model="wine", chunk_rows=1).json()
    early = httpx.get(f"{stack.url}/jobs/{running['id']}/result")
    assert (early.status_code, early.json()["code"]) == (409, "not_finished")
    assert early.headers["Retry-After"]
    cancelled = httpx.post(f"{stack.url}/jobs/{running['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert httpx.post(f"{stack.url}/jobs/{running['id']}/cancel").status_code == 202
    after = httpx.get(f"{stack.url}/jobs/{running['id']}/result")
    assert (after.status_code, after.json()["code"]) == (409, "job_cancelled")


def test_a_deleted_job_leaves_nothing(stack: Stack, body: bytes) -> None:
    gone = wait(stack.url, submit(stack.url, body, model="wine").json()["id"])
    folder = stack.settings.data_dir / "jobs" / gone["id"]
    assert folder.exists()
    assert httpx.delete(f"{stack.url}/jobs/{gone['id']}").status_code == 204
    assert not folder.exists()
    assert httpx.get(f"{stack.url}/jobs/{gone['id']}").status_code == 404
    assert httpx.delete(f"{stack.url}/jobs/{gone['id']}").status_code == 404


def test_a_slash_too_many_is_explained(url: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a\n1\n")
    status, problem = curl("-T", path, f"{url}/jobs/")  # curl appends the name of the file
    assert status == 405
    assert "without a slash" in problem["detail"]
    assert "GET" in problem["detail"]


def test_unknown_jobs_and_places_are_404(url: str) -> None:
    for path in ("/jobs/none", "/jobs/none/result", "/jobs/none/errors.csv", "/nowhere"):
        answer = httpx.get(url + path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")

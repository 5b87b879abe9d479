"""Submitting, with exactly the commands that users type, and what a wrong file is told."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from rowmill.stack import Stack
from tests.e2e.conftest import Example
from tests.e2e.serving import api_memory, curl, errors, result, score, submit, wait
from tests.waiting import wait_until


@pytest.fixture
def wine_csv(tmp_path: Path, examples: dict[str, Example]) -> Path:
    path = tmp_path / "wine.csv"
    examples["wine"].rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("how", ["put", "binary", "form", "form-last"])
def test_curl_as_users_type_it(url: str, wine_csv: Path, how: str) -> None:
    target = f"{url}/jobs?model=wine"
    commands: dict[str, list[str | Path]] = {
        "put": ["-T", wine_csv, target],
        "binary": ["--data-binary", f"@{wine_csv}", target],
        "form": ["-F", f"file=@{wine_csv}", "-F", "model=wine", f"{url}/jobs"],
        "form-last": ["-F", "model=wine", "-F", "keep=alcohol", "-F", f"file=@{wine_csv}", f"{url}/jobs"],
    }
    status, job = curl(*commands[how])
    assert status == 202
    assert wait(url, job["id"])["rows"] == {"total": 178, "done": 178, "failed": 0}
    if how.startswith("form"):
        assert job["input"]["name"] == "wine.csv"


def test_newlines_that_curl_took_out_are_named(url: str, wine_csv: Path) -> None:
    status, problem = curl("-d", f"@{wine_csv}", f"{url}/jobs?model=wine")
    assert (status, problem["code"]) == (400, "newlines_stripped")
    assert "--data-binary" in problem["detail"]


HEADER = "alcohol,malic_acid,ash,alcalinity_of_ash,magnesium,total_phenols,flavanoids,nonflavanoid_phenols,"
HEADER += "proanthocyanins,color_intensity,hue,od280/od315_of_diluted_wines,proline\n"
ROW = "14.2,1.7,2.4,15.6,127,2.8,3.06,0.28,2.29,5.64,1.04,3.92,1065\n"

REFUSED = [
    (HEADER.replace("hue", "hues") + ROW, {}, 422, "missing_column", "'hues'"),
    (HEADER + ROW.replace("14.2", "strong"), {}, 422, "mistyped_column", "'strong'"),
    (HEADER + ROW, {"model": "wines"}, 404, "unknown_model", "wine"),
    (HEADER + ROW, {"model": "wine@9"}, 404, "unknown_version", "9"),
    (HEADER + ROW, {"kep": "hue"}, 422, "unknown_option", "keep"),
    (HEADER + ROW, {"keep": "hues"}, 422, "unknown_column", "'hue'"),
    (HEADER + ROW, {"on_error": "skip"}, 422, "bad_option", "skip"),
    ("", {}, 422, "empty_input", "empty"),
    (HEADER, {}, 422, "header_only", "header"),
    (b"\x00\x01\x02\x03" * 200, {}, 415, "unknown_format", ""),
    (HEADER.encode() + b"\xff\xfe\xfa" + ROW.encode(), {}, 422, "unreadable_bytes", "charset"),
    (HEADER + ROW, {"model": "digits"}, 422, "wrong_input_kind", "zip"),
    (HEADER + ROW, {"model": "diabetes", "outputs": "confidence"}, 422, "no_probabilities", "diabetes"),
    (b"PK\x03\x04 but no archive", {}, 422, None, ""),
    (b"PAR1 but no parquet", {}, 422, None, ""),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: str(case[3]))
def test_what_cannot_be_scored_is_refused_at_once(
    stack: Stack, case: tuple[str | bytes, dict[str, str], int, str | None, str]
) -> None:
    body, options, status, code, said = case
    before = stored(stack)
    data = body.encode() if isinstance(body, str) else body
    answer = submit(stack.url, data, **({"model": "wine"} | options))
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["code"]) == (status, code or problem["code"])
    assert said in answer.text
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert stored(stack) == before


def stored(stack: Stack) -> set[Path]:
    """Every input, job and unfinished upload, once no job of another test works any more."""
    wait_until(lambda: not working(stack), "all jobs end", 60)
    folders = [stack.settings.data_dir / name for name in ("inputs", "jobs", "staging")]
    return {path for folder in folders for path in folder.glob("*")}


def working(stack: Stack) -> bool:
    running = ("queued", "planning", "scoring", "finishing")
    return any(httpx.get(f"{stack.url}/jobs?status={status}").json()["jobs"] for status in running)


def test_a_file_over_the_cap_is_refused(stack: Stack) -> None:
    before = stored(stack)
    cap = stack.settings.max_upload_bytes
    blocks = (b"1,2,3\n" * 100_000 for _ in range(cap // 600_000 + 2))
    answer = httpx.post(f"{stack.url}/jobs?model=wine", content=blocks, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert str(cap) in answer.json()["detail"]
    assert stored(stack) == before


def test_a_form_must_have_one_file(url: str) -> None:
    for files in ({"data": b"a\n1\n"}, {"file": b"a\n", "other": b"b\n"}):
        answer = httpx.post(f"{url}/jobs?model=wine", files=files)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_multipart")


def test_a_dry_run_scores_the_head_and_keeps_nothing(stack: Stack) -> None:
    before = stored(stack)
    body = (HEADER + ROW * 500).encode()
    answer = submit(stack.url, body, model="wine", dry_run=1).json()
    assert len(answer["rows"]) == 100
    assert answer["columns"][0] == "prediction"
    assert stored(stack) == before


def test_bad_rows_are_rows_with_a_reason(url: str) -> None:
    lines = [ROW] * 50
    lines[3] = ROW.replace("14.2", "n/a")
    lines[7] = ROW.replace("14.2,", "")
    lines[9] = ROW.strip() + ",1,2\n"
    lines[11] = ROW.replace("1065", "inf")
    body = (HEADER + "".join(lines)).encode()
    job = score(url, body, model="wine", keep="proline", chunk_rows=10)
    table = result(url, job).to_pandas()
    assert len(table) == 50
    bad = table[table["error"].notna()]
    assert bad.index.tolist() == [3, 7, 9, 11]
    found = errors(url, job)
    assert [(e["row"], e["line"]) for e in found] == [(3, 5), (7, 9), (9, 11), (11, 13)]
    assert [e["code"] for e in found] == [
        "not_a_number",
        "too_few_fields",
        "too_many_fields",
        "infinite_value",
    ]
    assert found[0]["column"] == "alcohol"
    assert found[0]["value"] == "n/a"
    assert table["prediction"].notna().sum() == 46
    failed = wait(url, submit(url, body, model="wine", max_row_errors=3).json()["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "too_many_row_errors")
    assert len(errors(url, failed)) == 4
    failed = wait(url, submit(url, body, model="wine", on_error="fail").json()["id"])
    assert failed["error"]["code"] == "row_error"


def test_kept_columns_are_verbatim(url: str) -> None:
    header, row = HEADER.replace("\n", ",id\n"), ROW.replace("\n", ',"007, ""x"""\n')
    job = score(url, (header + row * 3).encode(), model="wine", keep="id,proline")
    table = result(url, job)
    assert table.schema.names[:2] == ["id", "proline"]
    assert table.column("id").to_pylist() == ['007, "x"'] * 3
    assert table.column("proline").to_pylist() == ["1065"] * 3


def test_lineage_stands_in_the_file(url: str) -> None:
    job = score(url, (HEADER + ROW).encode(), model="wine")
    metadata = result(url, job).schema.metadata
    assert metadata[b"rowmill.model"] == b"wine@1"
    assert metadata[b"rowmill.input_sha256"].decode() == job["input"]["sha256"]
    assert "scikit-learn" in json.loads(metadata[b"rowmill.versions"])
    assert job["id"].encode() not in b"".join(metadata.values())


@pytest.mark.parametrize("form", [False, True])
def test_an_upload_is_not_held_in_memory(stack: Stack, tmp_path: Path, form: bool) -> None:
    path = tmp_path / "large.csv"
    path.write_text(HEADER + ROW * (45_000_000 // len(ROW)))
    for _ in range(12):  # both processes have loaded what a submission needs
        submit(stack.url, (HEADER + ROW).encode(), model="wine")
    before = api_memory(stack)
    how = ("-F", f"file=@{path}") if form else ("-T", path)
    status, job = curl(*how, f"{stack.url}/jobs?model=wine")
    assert status == 202
    assert api_memory(stack) - before < 15_000_000
    wait(stack.url, job["id"])  # a worker that is at it would leave files behind the back of later tests
    httpx.delete(f"{stack.url}/jobs/{job['id']}")

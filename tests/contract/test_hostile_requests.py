"""Requests that no honest client sends get a 4xx that says why, whichever database stands behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import create_app
from base.database import Database
from models.registry import Registry
from tests.builders import AddedModel


@pytest.fixture
def client(
    database: Database, wine: AddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.setenv("ROWMILL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ROWMILL_DATABASE_URL", database.url)
    wine.put_into(database, Registry(database, tmp_path / "data" / "models"))
    app = create_app()
    yield app.test_client()
    app.extensions["workshop"].close()


@pytest.fixture
def wine_csv(wine: AddedModel) -> bytes:
    return wine.sample.read_bytes()


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/jobs?limit=\u00b2", 422, "bad_option"),
        ("/jobs?limit=" + "9" * 5000, 422, "bad_option"),
        ("/jobs?model=wine@\u00b2", 400, "invalid_reference"),
        ("/jobs?model=wine@99999999999999999999", 400, "invalid_reference"),
        ("/jobs?model=wine@production", 422, "bad_option"),
        ("/jobs?cursor=yesterday", 400, "bad_cursor"),
        ("/jobs?statsu=failed", 422, "unknown_option"),
        ("/jobs?tag=%00", 400, "bad_request"),
        ("/jobs/%00", 400, "bad_request"),
        ("/jobs/" + "x" * 5000, 404, "job_not_found"),
        ("/models/%00", 400, "bad_request"),
        ("/jobs/..%2f..%2f..%2fetc%2fpasswd", 404, "not_found"),
        ("/jobs/%2e%2e/result", 404, "job_not_found"),
        ("/models/..%5c..%5cwine", 400, "invalid_reference"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_odd_address_is_refused(client: Any, address: str, status: int, code: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("query", ["model=\xff", "model=\xe4\xb8", "a=\nb", "a=\x00"])
@pytest.mark.parametrize("path", ["/models", "/jobs//preview", "/nowhere"])
def test_bytes_that_are_no_text_are_refused(client: Any, path: str, query: str) -> None:
    answer = client.get(path, environ_overrides={"QUERY_STRING": query})
    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "a\0b"},
        {"name": "a\nb"},
        {"max_row_errors": "9" * 5000},
        {"max_row_errors": "\u0663"},
        {"ttl": "nan"},
    ],
    ids=str,
)
def test_an_odd_option_is_refused(client: Any, wine_csv: bytes, options: dict[str, str]) -> None:
    form = {"file": (io.BytesIO(wine_csv), "a.csv"), "model": "wine", **options}
    answer = client.post("/jobs", data=form)
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")


def test_an_endless_idempotency_key_is_refused(client: Any, wine_csv: bytes, tmp_path: Path) -> None:
    answer = client.post("/jobs?model=wine", data=wine_csv, headers={"Idempotency-Key": "k" * 256})
    assert (answer.status_code, answer.json["code"]) == (422, "bad_option")
    assert not list((tmp_path / "data").glob("staging/*"))
    assert not list((tmp_path / "data").glob("inputs/*"))


@pytest.mark.parametrize(
    "name",
    [
        "a\0b.csv",
        "a\tb.csv",
        "../../x.csv",
        "..\\..\\x.csv",
        "CON",
        "/etc/passwd",
        "\U0001f377.csv",
        "n" * 5000,
    ],
)
def test_any_file_name_will_do(client: Any, wine_csv: bytes, name: str) -> None:
    form = {"file": (io.BytesIO(wine_csv), name), "model": "wine", "tags": "a\0b,\u96ea"}
    answer = client.post("/jobs", data=form)
    assert answer.status_code == 202, answer.text
    assert client.get(answer.json["links"]["self"]).json["input"]["name"].isprintable()
    assert len(client.get("/jobs", query_string={"tag": "\u96ea"}).json["jobs"]) == 1
    assert client.delete(answer.json["links"]["self"]).status_code == 204


@pytest.mark.parametrize("key", ["\\u0000", "\\ud800", "\\u96ea"])
def test_any_column_name_will_do(client: Any, wine_csv: bytes, key: str) -> None:
    names, row = (line.split(b",") for line in wine_csv.splitlines()[:2])
    fields = ",".join(f'"{name.decode()}": {value.decode()}' for name, value in zip(names, row, strict=True))
    answer = client.post("/jobs?model=wine&keep=*", data=f'{{"{key}": "x", {fields}}}\n'.encode())
    assert answer.status_code in (202, 422), answer.text


def test_a_tag_is_found_as_it_is_written(client: Any, wine_csv: bytes) -> None:
    assert client.post("/jobs?model=wine&tags=eu,weekly", data=wine_csv).status_code == 202
    assert len(client.get("/jobs?tag=eu").json["jobs"]) == 1
    assert client.get("/jobs?tag=EU").json["jobs"] == []
    assert client.get("/jobs?tag=week").json["jobs"] == []

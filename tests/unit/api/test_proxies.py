"""Behind proxies: links and addresses are the client's, and nobody else is believed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.builders import commit_chunk, new_job, planned_job
from tests.unit.api.conftest import MakeApp

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "ml.example.org",
    "X-Forwarded-Prefix": "/score",
}
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def proxied(stocked: Path, make_app: MakeApp) -> Any:
    app = make_app(stocked, trusted_proxies=1, allowed_hosts="ml.example.org")
    return app.test_client()


def links_in(value: Any) -> list[str]:
    """All that stands under ``links`` in an answer."""
    if isinstance(value, list):
        return [link for item in value for link in links_in(item)]
    if not isinstance(value, dict):
        return []
    return [*value.get("links", {}).values(), *(link for item in value.values() for link in links_in(item))]


@pytest.mark.parametrize("address", ["/", "/models", "/models/wine@1"])
def test_every_link_has_the_prefix(proxied: Any, address: str) -> None:
    links = links_in(proxied.get(address, headers=FORWARDED).json)
    assert links
    assert [link for link in links if not link.startswith("/score/")] == []


def test_lines_to_copy_and_the_page_have_scheme_host_and_prefix(proxied: Any) -> None:
    commands = proxied.get("/", headers=FORWARDED).json["commands"]
    assert all("https://ml.example.org/score/" in line for line in commands.values())
    page = proxied.get("/", headers=FORWARDED | BROWSER).text
    assert 'href="/score/static/' in page
    assert 'href="/static/' not in page


def test_the_document_names_the_prefix_as_its_server(proxied: Any) -> None:
    assert proxied.get("/openapi.json", headers=FORWARDED).json["servers"] == [{"url": "/score"}]
    assert proxied.get("/openapi.json").json["servers"] == [{"url": "/"}]


def test_jobs_and_lists_have_the_prefix(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(tmp_path / "data", trusted_proxies=1, allowed_hosts="ml.example.org")
    database = app.extensions["workshop"].database
    database.upgrade()
    client: Any = app.test_client()
    job = planned_job(database, 1)
    commit_chunk(database, job, 0)
    new_job(database)
    listed = client.get("/jobs?limit=1", headers=FORWARDED)
    assert listed.headers["Link"].startswith("</score/jobs?")
    for answer in (listed, client.get(f"/jobs/{job.id}", headers=FORWARDED)):
        assert all(link.startswith("/score/jobs/") for link in links_in(answer.json))


def test_a_new_job_is_found_where_the_client_looks(stocked: Path, make_app: MakeApp, tmp_path: Path) -> None:
    shutil.copytree(stocked, tmp_path / "data")
    app = make_app(tmp_path / "data", trusted_proxies=1, allowed_hosts="ml.example.org")
    rows = b"size,weight\n1,2\n"
    made: Any = app.test_client().post("/jobs?model=positive", data=rows, headers=FORWARDED)
    assert made.status_code == 202, made.text
    assert made.headers["Location"] == made.json["links"]["self"] == f"/score/jobs/{made.json['id']}"


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"])
@pytest.mark.parametrize("address", ["/", "/models", "/openapi.json"])
def test_nothing_is_believed_without_the_setting(
    stocked: Path, make_app: MakeApp, name: str, address: str
) -> None:
    client: Any = make_app(stocked).test_client()
    lie = {"X-Forwarded-Proto": "https", "Forwarded": "proto=https;host=evil.example"}.get(name, "/evil")
    assert client.get(address, headers={name: lie}).data == client.get(address).data


def test_what_a_client_wrote_in_front_is_not_read(stocked: Path, make_app: MakeApp, redis_url: str) -> None:
    app = make_app(stocked, trusted_proxies=2, redis_url=redis_url, rate_limit="1/hour")
    client: Any = app.test_client()

    def asked_from(chain: str) -> int:
        status: int = client.get("/models", headers={"X-Forwarded-For": chain}).status_code
        return status

    assert asked_from("198.51.100.1, 203.0.113.7, 10.0.0.2") == 200
    assert asked_from("198.51.100.2, 203.0.113.7, 10.0.0.2") == 429  # a new address of its own choice
    assert asked_from("203.0.113.8, 10.0.0.2") == 200


def test_an_address_is_not_chosen_by_its_client(stocked: Path, make_app: MakeApp, redis_url: str) -> None:
    client: Any = make_app(stocked, redis_url=redis_url, rate_limit="1/hour").test_client()
    asked = [
        client.get("/models", headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(2)
    ]
    assert asked == [200, 429]

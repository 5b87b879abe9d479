"""The home page: HTML for a browser, JSON for programs, lines that work when they are pasted."""

from __future__ import annotations

import json
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.builders import commit_chunk, new_job, planned_job
from tests.unit.api.conftest import Client, MakeApp

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        """Where the page points or loads from."""
        return [str(attrs[key]) for _, attrs in self.tags for key in ("href", "src") if key in attrs]


@pytest.fixture
def empty(make_app: MakeApp, tmp_path: Path) -> Client:
    app = make_app(tmp_path)
    app.extensions["workshop"].database.upgrade()
    return app.test_client()


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json,text/html;q=0.9"])
def test_programs_get_json(client: Client, accept: str | None) -> None:
    answer = client.get("/", headers={"Accept": accept} if accept else {})
    assert answer.content_type == "application/json"
    assert "Accept" in answer.headers["Vary"]
    assert [model["name"] for model in answer.json["models"]][-1] == "wine"
    assert answer.json["jobs"] == []


def test_browsers_get_a_page_that_loads_nothing_from_elsewhere(client: Client) -> None:
    answer = client.get("/", headers=BROWSER)
    page = Page(answer.text)
    assert answer.content_type.startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script" not in {tag for tag, _ in page.tags}
    assert all(link.startswith(("/", "#")) for link in page.links())
    for link in page.links():
        if link.startswith("/") and not link.startswith("/readyz"):
            with client.get(link) as target:
                assert target.status_code == 200, link
    assert page.tags.count(("h1", {})) == 1
    assert {"lang": "en"} in [attrs for tag, attrs in page.tags if tag == "html"]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_the_lines_to_copy_have_this_host_and_work(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, default_model="wine", allowed_hosts="scores.example").test_client()
    arrived = {"SERVER_NAME": "127.0.0.1"}
    answer = client.get("/", base_url="https://scores.example:8443", environ_overrides=arrived)
    commands = answer.json["commands"]
    assert shlex.split(commands["score_a_file"]) == [
        "curl", "-T", "data.csv", "https://scores.example:8443/jobs?model=wine",
    ]  # fmt: skip
    curl, _, body, url = shlex.split(commands["predict"])
    assert (curl, url) == ("curl", "https://scores.example:8443/predict")
    answer = client.post("/predict", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.json["model"] == {"name": "wine", "version": 1}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_text_model_is_shown_with_a_text(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, default_model="moods").test_client()
    commands = client.get("/").json["commands"]
    body = shlex.split(commands["predict"])[2]
    assert json.loads(body) == {"model": "moods", "text": "a bad night 0"}
    assert client.post("/predict", data=body).json["prediction"] == "sad"
    assert "texts.csv" in shlex.split(commands["score_a_file"])
    assert "<td>a text</td>" in client.get("/", headers={"Accept": "text/html"}).text


def test_an_image_model_is_shown_with_an_image(make_app: MakeApp, stocked: Path) -> None:
    client: Client = make_app(stocked, default_model="digits").test_client()
    commands = client.get("/").json["commands"]
    assert "image=@picture.png" in shlex.split(commands["predict"])
    assert "images.zip" in shlex.split(commands["score_a_file"])
    assert "an image (8 x 8)" in client.get("/", headers=BROWSER).text


def test_a_host_name_cannot_break_out_of_the_line(client: Client) -> None:
    hostile = "h$(id)'\"<script>alert(1)</script>"
    answer = client.get("/", headers={**BROWSER, "Host": hostile})
    assert answer.status_code == 421
    assert "<script>" not in answer.text


def test_without_models_it_says_how_to_add_one(empty: Client) -> None:
    answer = empty.get("/")
    assert answer.json["commands"] == {
        "add_a_model": "rowmill models add wine wine.joblib --sample train.csv"
    }
    page = Page(empty.get("/", headers=BROWSER).text)
    assert "This server has no model yet" in page.text
    assert "rowmill models add wine" in page.text


def test_recent_jobs_newest_first_with_their_names_as_text(empty: Client) -> None:
    database = empty.application.extensions["workshop"].database
    old = planned_job(database, name="march <b>churn</b>")
    commit_chunk(database, old, 0, rows=1200, failed=3)
    for _ in range(10):
        new_job(database)
    last = new_job(database, name="newest")
    jobs: list[dict[str, Any]] = empty.get("/").json["jobs"]
    assert len(jobs) == 10
    assert jobs[0]["id"] == last.id
    for _ in range(9):
        empty.delete(f"/jobs/{empty.get('/').json['jobs'][0]['id']}")
    shown = empty.get("/").json["jobs"][-1]
    assert (shown["id"], shown["rows"]["done"], shown["rows"]["failed"]) == (old.id, 1200, 3)
    html = empty.get("/", headers=BROWSER).text
    assert "march &lt;b&gt;churn&lt;/b&gt;" in html
    assert "1,200" in Page(html).text
    assert empty.get(shown["links"]["self"]).json["id"] == old.id


def test_the_api_is_described(client: Client) -> None:
    described = client.get("/openapi.json").json
    assert described["openapi"] == "3.1.0"
    for path in ("/", "/predict", "/models", "/models/{reference}", "/healthz", "/health", "/readyz"):
        (operation,) = described["paths"][path].values()
        assert operation["summary"]
        assert all(answer["description"] for answer in operation["responses"].values())
    others = ("/v2", "/invocations", "/ping", "/version")  # their protocols have forms of their own
    for path, operations in described["paths"].items():
        form = "application/json" if path.startswith(others) else "application/problem+json"
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                assert status < "400" or list(answer["content"]) == [form], path
    names = [o["operationId"] for operations in described["paths"].values() for o in operations.values()]
    assert len(set(names)) == len(names)
    assert described["paths"]["/models/{reference}"]["get"]["description"].startswith("`wine` is")
    predict = described["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"application/json", "multipart/form-data", "image/*"}
    assert {"200", "400", "404", "413", "422"} <= set(predict["responses"])

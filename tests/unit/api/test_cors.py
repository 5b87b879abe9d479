"""CORS: listed sites may ask and read, others may not, and nobody may where none is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.conftest import Client, MakeApp

SITE = "https://app.example.org"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture
def open_to_site(stocked: Path, make_app: MakeApp) -> Any:
    return make_app(stocked, allowed_origins=f"{SITE},https://other.example.org").test_client()


def test_a_listed_site_may_ask_first(open_to_site: Any) -> None:
    answer = open_to_site.options("/jobs", headers={"Origin": SITE, **ASKS})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "Idempotency-Key", "Content-Type"):
        assert name in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("address", ["/models", "/nowhere", "/v2"])
def test_a_listed_site_may_read_answers_and_refusals(open_to_site: Any, address: str) -> None:
    answer = open_to_site.get(address, headers={"Origin": SITE})
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert "Origin" in answer.headers["Vary"]
    for name in ("Location", "Retry-After", "ETag", "X-Request-ID"):
        assert name in answer.headers["Access-Control-Expose-Headers"]


def test_a_prediction_of_a_listed_site_may_be_read(open_to_site: Any) -> None:
    body = {"model": "diabetes", "features": [0.1] * 10}
    answer = open_to_site.post("/predict", json=body, headers={"Origin": SITE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, SITE)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{SITE}.evil.example", "http://app.example.org"]
)
def test_no_other_site_is_let_in(open_to_site: Any, origin: str) -> None:
    for answer in (
        open_to_site.options("/jobs", headers={"Origin": origin, **ASKS}),
        open_to_site.get("/models", headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]  # a cache keeps the answers apart


def test_it_is_off_where_no_site_is_listed(client: Client) -> None:
    answer: Any = client.get("/models", headers={"Origin": SITE})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]

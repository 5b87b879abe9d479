"""The OpenAPI document: complete, and true of what the API answers to requests that are made from it."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.operations import OPTIONS
from jobs.options import Options
from tests.contract.conftest import Served

KEY = "a-key-of-an-admin-in-a-test-of-the-document"
KEPT = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 8


@dataclass(frozen=True)
class Described:
    """An app, a key if it asks for one, and what its addresses may name."""

    app: Any
    headers: dict[str, str]
    known: dict[str, list[str]]

    def schema(self) -> Any:
        return schemathesis.openapi.from_wsgi("/openapi.json", self.app, headers=self.headers)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind will do: the document does not know which there is."""
    return sqlite_url


@pytest.fixture(params=["keys off", "keys on"])
def headers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a request has to carry; stands before ``served``, whose app asks for it."""
    if request.param == "keys off":
        return {}
    monkeypatch.setenv("ROWMILL_REQUIRE_KEYS", "1")
    monkeypatch.setenv("ROWMILL_ADMIN_KEY", KEY)
    return {"X-API-Key": KEY}


@pytest.fixture
def described(headers: dict[str, str], served: Served) -> Described:
    if headers:
        served.client.environ_base["HTTP_X_API_KEY"] = KEY
    jobs = [served.work(served.submit()), served.submit()]
    known = {"job_id": [job["id"] for job in jobs], "reference": ["wine"], "name": ["wine"], "version": ["1"]}
    return Described(served.client.application, headers, known)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_is_described_with_all_that_it_answers(served: Served) -> None:
    found = dict(operations(served.get("/openapi.json").json))
    for rule in served.client.application.url_map.iter_rules():
        if rule.endpoint != "static" and not rule.endpoint.startswith("documents."):
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                path = rule.rule.replace("<", "{").replace(">", "}")
                assert f"{method} {path}" in found
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        in_path = {given["name"] for given in operation.get("parameters", []) if given["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", name))
        for status, answer in operation["responses"].items():
            assert "content" in answer or status in ("204", "304") or "/ping" in name, (name, status)
    assert OPTIONS.keys() == Options.model_fields.keys()


# the client that makes the requests closes no file that it was sent
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_answers_are_as_the_document_says(described: Described) -> None:
    for found in described.schema().get_all_operations():
        operation = found.ok()
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, named=st.data())
        def answers(case: Any, named: Any) -> None:
            for name in case.path_parameters or {}:
                if named.draw(st.integers(0, 3)):  # else what was made up stays: there is no such job
                    case.path_parameters[name] = named.draw(st.sampled_from(described.known[name]))
            for parameters in (case.query, case.headers):  # nobody waits for a job that nobody scores
                for name in {"wait", "Prefer", "prefer"}.intersection(parameters or {}):
                    del parameters[name]
            # without workers and caretaker /readyz is right to say 503, as the document says
            kept = KEPT[1:] if case.path == "/readyz" else KEPT
            case.call_and_validate(headers=described.headers, checks=kept)

        answers()
    gc.collect()


def test_a_key_is_asked_for_where_the_document_says_so(described: Described) -> None:
    client = described.app.test_client()
    document = client.get("/openapi.json", headers=described.headers).json
    assert ({} in document["security"]) == (not described.headers)
    for name, operation in operations(document):
        method, _, path = name.partition(" ")
        needs_key = described.headers and operation.get("security") != []
        asked = client.open(re.sub("{.*?}", "x", path), method=method).status_code == 401
        assert asked == bool(needs_key), name

"""Every status that a route can answer with stands in the OpenAPI document."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from api.errors import STATUSES
from base.database import Database
from models.registry import Registry
from tests.unit.api.conftest import Client, MakeApp, own_copy

INFER = {"v2.infer", "v2.version_infer"}
DESCRIBED = {"v2.model", "v2.version", "v2.model_ready", "v2.version_ready"}
PREDICTING = {"predict.predict", "mlflow.invocations", *INFER}
SUBMITTING = {"jobs.submit", "again.retry", "again.clone"}
RECEIVING = {"jobs.submit", "feedback.feedback"}
NAMING = PREDICTING | DESCRIBED | {"jobs.submit", "again.clone"}  # a model
VIEWS = {"results.as_csv", "results.as_jsonl", "results.preview"}
RESULTS = {"results.result", "results.parquet", *VIEWS, "links.make", "feedback.feedback"}
ONLY_JOBS = {"jobs.submit"}
ERRORS = {"results.errors_jsonl", "results.errors_csv"}
ONE_JOB = RESULTS | ERRORS | {"jobs.show", "jobs.cancel", "jobs.delete", "again.retry", "again.clone"}
# By code: the routes that answer with it; None for all of them.
ANSWERED: dict[str, set[str] | None] = {
    **dict.fromkeys(["key_required", "invalid_key", "forbidden", "invalid_link", "link_expired"]),
    **dict.fromkeys(["origin_not_allowed", "host_not_allowed", "bad_request", "unknown_option"]),
    **dict.fromkeys(["incomplete_body", "too_slow", "too_large"]),  # of bodies where none is read, too
    **dict.fromkeys(["digest_mismatch", "artefact_missing", "part_damaged", "result_damaged"]),
    **dict.fromkeys(["unknown_model", "unknown_version", "unknown_alias"], NAMING | {"models.show"}),
    "version_retired": NAMING,
    "invalid_reference": NAMING | {"models.show", "models.history"},
    "no_models": {"predict.predict", "mlflow.invocations", "mlflow.ping", "jobs.submit"},
    "model_required": {"predict.predict", "mlflow.invocations", "jobs.submit"},
    "bad_json": PREDICTING | {"feedback.feedback"},
    "too_many_rows": PREDICTING,
    "unsupported_encoding": PREDICTING | RECEIVING,
    "unknown_format": RECEIVING | {"mlflow.invocations"},
    "bad_multipart": RECEIVING | {"predict.predict"},
    **dict.fromkeys(["bad_digest", "content_digest_mismatch", "newlines_stripped"], ONLY_JOBS),
    "decoded_too_large": RECEIVING,
    "bad_cursor": {"jobs.index"},
    "job_not_found": ONE_JOB,
    "not_finished": RESULTS | ERRORS | {"again.retry", "again.clone"},
    **dict.fromkeys(["job_failed", "job_cancelled"], RESULTS),
    "result_expired": RESULTS | ERRORS,
    "input_expired": {"again.retry", "again.clone"},
    "nothing_to_retry": {"again.retry"},
    "idempotency_key_in_use": SUBMITTING,
    **dict.fromkeys(["quota_exceeded", "queue_full", "disk_low"], SUBMITTING),
    "busy": {"feedback.feedback"},
}


def described(app: APIFlask) -> dict[str, dict[str, set[str]]]:
    """The statuses in the document, by endpoint and method."""
    paths = app.test_client().get("/openapi.json").json["paths"]  # type: ignore[index]
    found: dict[str, dict[str, set[str]]] = {}
    for rule in app.url_map.iter_rules():
        for method, operation in paths.get(re.sub("<(.*?)>", r"{\1}", rule.rule), {}).items():
            if method.upper() in (rule.methods or ()):
                found.setdefault(rule.endpoint, {})[method] = set(operation["responses"])
    return found


def in_any_form(status: int) -> set[str]:
    """The protocols have a 400 for what is a 422 elsewhere."""
    return {"422", "400"} if status == 422 else {str(status)}


def test_every_code_has_its_status_in_the_document_wherever_it_is_answered(shared_app: APIFlask) -> None:
    assert ANSWERED.keys() == STATUSES.keys()
    documented = described(shared_app)
    missing = {
        (endpoint, code)
        for code, endpoints in ANSWERED.items()
        for endpoint in (documented if endpoints is None else endpoints)
        for statuses in documented[endpoint].values()
        if not in_any_form(STATUSES[code]) & statuses
    }
    assert missing == set()


UNLIMITED = {"wsgi.input_terminated": True}  # as gunicorn's is


class Slow(io.BytesIO):
    """A body that does not go on, as gunicorn's worker tells it."""

    def read(self, _size: int | None = -1, /) -> bytes:
        raise TimeoutError("30 s without a byte")


@pytest.fixture
def retired(stocked: Path, make_app: MakeApp, tmp_path: Path) -> APIFlask:
    """An app on a registry in which wine@2 was retired."""
    folder = own_copy(stocked, tmp_path)
    database = Database(f"sqlite:///{folder / 'rowmill.db'}")
    Registry(database, folder / "models").retire("wine", 2, lambda *_: [], "a test")
    database.dispose()
    return make_app(folder)


def test_what_is_refused_is_refused_as_the_document_says(retired: APIFlask) -> None:
    client: Client = retired.test_client()
    documented = described(retired)
    by_reference = [
        ("POST", "/predict?model=wine@2"),
        ("POST", "/invocations?model=wine@2"),
        ("POST", "/v2/models/wine/versions/2/infer"),
        ("GET", "/v2/models/wine/versions/2"),
        ("GET", "/v2/models/wine/versions/2/ready"),
        ("POST", "/jobs?model=wine@2"),
    ]
    seen: list[tuple[str, str, int]] = []

    def ask(method: str, path: str, **more: Any) -> None:
        answer = client.open(path, method=method, **more)
        rule = retired.url_map.bind("localhost").match(path.partition("?")[0], method)[0]
        assert str(answer.status_code) in documented[rule][method.lower()], (path, answer.text)
        seen.append((method, path, answer.status_code))

    for method, path in by_reference:
        ask(method, path, data=b"{}" if method == "POST" else None, content_type="application/json")
        if method == "POST":
            current = path.replace("wine@2", "wine").replace("/versions/2", "")
            ask(
                method,
                current,
                data=b"{}",
                headers={"Content-Encoding": "br"},
                content_type="application/json",
            )
            ask(
                method,
                current,
                input_stream=Slow(b" " * 70_000),
                environ_overrides=UNLIMITED,
                content_type="application/json",
            )
    ask("POST", "/jobs/x/cancel", input_stream=Slow(b" " * 10), environ_overrides=UNLIMITED)
    gone = [status for method, path, status in seen if (method, path) in by_reference]
    assert gone == [410] * len(by_reference)
    statuses = Counter(status for *_, status in seen)
    assert (statuses[415], statuses[408]) == (4, 5)

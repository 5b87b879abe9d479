"""In front of Flask a request is answered as Flask would answer it, or handed on as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apiflask import APIFlask
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from uuid6 import uuid7
from werkzeug.test import Client, TestResponse

MADE_UP = {"request_id", "prediction_id"}  # another one for each request
WINE = load_wine(as_frame=True).data
ROW: dict[str, Any] = WINE.iloc[7].to_dict()

CELLS = st.one_of(
    st.floats(0, 2000),
    st.integers(0, 400),
    st.integers(),
    st.floats(),
    st.none(),
    st.text(max_size=3),
    st.booleans(),
)
ROWS = st.one_of(
    st.just(ROW),
    st.sampled_from(WINE.to_dict("records")),
    st.builds(lambda name, cell: {**ROW, name: cell}, st.sampled_from([*ROW, "other"]), CELLS),
    st.builds(lambda name: {key: ROW[key] for key in ROW if key != name}, st.sampled_from(list(ROW))),
    st.just(list(ROW.values())),
    st.lists(CELLS, max_size=14),
    CELLS,
)
MODELS = st.sampled_from(
    [None, "wine", "wine@1", "wine@2", "wine@production", "diabetes", "digits", "nobody", 7, ""]
)
BODIES = st.one_of(
    st.builds(lambda row: {"features": row}, ROWS),
    st.builds(lambda row, model: {"model": model, "features": row}, ROWS, MODELS),
    st.builds(lambda row: {"instances": [row]}, ROWS),
    st.builds(lambda row: {"features": row, "instances": [row]}, ROWS),
    ROWS,
)
TEXTS = st.one_of(
    BODIES.map(lambda body: json.dumps(body).encode()),
    st.sampled_from([b"", b"{", b"\xff", b'{"features": NaN}', b'{"features": [], "features": []}', b"[]"]),
)
QUERIES = st.sampled_from(
    [
        "",
        "model=wine",
        "model=wine@1",
        "model=",
        "model=wine&model=wine",
        "model=%77ine",
        "wine",
        "rows=1",
        "model=nobody",
    ]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            ["application/json", "text/plain", "image/png", "multipart/form-data"]
        ),
        "X-Request-ID": st.sampled_from(["mine", "a,b", "not mine", "\xe9", "", "x" * 129]),
        "Origin": st.sampled_from(["http://localhost", "http://evil.example"]),
        "Host": st.sampled_from(["localhost", "evil.example"]),
        "Content-Encoding": st.sampled_from(["identity", "gzip"]),
        "X-API-Key": st.just("rm_none"),
        "X-Rowmill-Key": st.text("abc", max_size=2),
    },
)


def short_way(app: APIFlask) -> Any:
    """What stands behind the meter."""
    metered: Any = app.wsgi_app
    return metered.app


def ask(app: Any, body: bytes, query: str, headers: dict[str, str]) -> TestResponse:
    length = {"CONTENT_LENGTH": headers.pop("Content-Length")} if "Content-Length" in headers else {}
    return Client(app).post(
        "/predict", query_string=query, data=body, headers=headers, environ_overrides=length
    )


def essence(answer: TestResponse) -> tuple[Any, ...]:
    """What a client gets, without what differs from one request to the next."""
    names = sorted(name for name, _ in answer.headers)
    request_id = answer.headers["X-Request-ID"]
    body = _without_ids(answer.json) if answer.json else answer.data
    return answer.status_code, names, body, len(request_id) == len(str(uuid7())) or request_id


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: key in MADE_UP or _without_ids(each) for key, each in value.items()}


@given(body=TEXTS, query=QUERIES, headers=HEADERS)
def test_every_request_gets_the_answer_that_flask_gives(
    shared_app: APIFlask, body: bytes, query: str, headers: dict[str, str]
) -> None:
    short = short_way(shared_app)
    wanted = ask(short.flask, body, query, headers)
    assert essence(ask(short, body, query, headers)) == essence(wanted)


@settings(max_examples=30)
@given(body=TEXTS, query=QUERIES, headers=HEADERS)
def test_the_same_where_predictions_are_logged(
    logging_app: APIFlask, body: bytes, query: str, headers: dict[str, str]
) -> None:
    short = short_way(logging_app)
    wanted = ask(short.flask, body, query, headers)
    assert essence(ask(short, body, query, headers)) == essence(wanted)


@settings(max_examples=50)
@given(body=TEXTS, query=QUERIES, headers=HEADERS)
def test_the_same_where_an_alias_is_split(
    split_app: APIFlask, body: bytes, query: str, headers: dict[str, str]
) -> None:
    short = short_way(split_app)
    wanted = ask(short.flask, body, query, headers)
    assert essence(ask(short, body, query, headers)) == essence(wanted)


@pytest.mark.parametrize("query", ["", "model=wine", "model="])
@pytest.mark.parametrize("model", [0, 5, 1.5, True, False, [], ["wine"], {}, {"a": 1}, "", None, "wine@9"])
def test_a_model_of_any_kind_is_refused_as_flask_refuses_it(
    shared_app: APIFlask, model: Any, query: str
) -> None:
    short: Any = shared_app.wsgi_app.app  # type: ignore[attr-defined]
    body = json.dumps({"features": ROW, "model": model}).encode()
    wanted = ask(short.flask, body, query, {})
    assert wanted.status_code < 500
    assert essence(ask(short, body, query, {})) == essence(wanted)


def refuse_to_serve(_environ: Any, _start_response: Any) -> Any:
    raise AssertionError("it was handed on")


# gateways add these to every request
GATEWAY = {
    "X-Request-ID": "of-a-gateway",
    "X-Forwarded-For": "203.0.113.7",
    "Traceparent": "00-0af7651916cd43dd",
}


@pytest.mark.parametrize("headers", [{}, GATEWAY], ids=["plain", "gateway"])
@pytest.mark.parametrize("query", ["", "model=wine@1"])
@pytest.mark.parametrize("row", [ROW, list(ROW.values())])
def test_a_plain_row_never_reaches_flask(
    shared_app: APIFlask, monkeypatch: pytest.MonkeyPatch, row: Any, query: str, headers: dict[str, str]
) -> None:
    body = json.dumps({"model": "wine@1", "features": row}).encode()
    ask(shared_app.wsgi_app, body, query, {})  # from now on reference and model are remembered
    monkeypatch.setattr(short_way(shared_app), "flask", refuse_to_serve)
    answer = ask(shared_app.wsgi_app, body, query, headers)
    assert answer.status_code == 200
    assert headers.get("X-Request-ID") in (None, answer.headers["X-Request-ID"])
    assert answer.json is not None
    assert answer.json["model"] == {"name": "wine", "version": 1}


def test_a_plain_row_that_is_logged_never_reaches_flask(
    logging_app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"model": "wine@1", "features": ROW}).encode()
    ask(logging_app.wsgi_app, body, "", {})
    monkeypatch.setattr(short_way(logging_app), "flask", refuse_to_serve)
    answer = ask(logging_app.wsgi_app, body, "", {})
    assert answer.json is not None
    assert answer.json["prediction_id"]


def test_a_body_that_breaks_off_is_refused(shared_app: APIFlask) -> None:
    body = json.dumps({"model": "wine", "features": ROW}).encode()
    answer = ask(shared_app.wsgi_app, body[:40], "", {"Content-Length": str(len(body))})
    assert (answer.status_code, answer.json and answer.json["code"]) == (400, "incomplete_body")

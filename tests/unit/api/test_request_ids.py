"""The name of a request: taken over if it will do, echoed, and in the lines that are logged meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog

from api import errors
from api.request_ids import named_in
from tests.unit.api.conftest import Client, MakeApp


@pytest.mark.parametrize(
    "sent", ["7", "a" * 128, "0af7651916cd43dd8448eb211c80319c", "Root=1-67:891233/abc@x+y="]
)
def test_a_name_of_the_client_comes_back(client: Client, sent: str) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": sent})
    assert answer.headers["X-Request-ID"] == sent
    assert answer.json["request_id"] == sent


@pytest.mark.parametrize(
    "sent", ["", "a" * 129, "a b", "<script>", "a\tb", "\xe4", "'; DROP", "-rf", "%0d%0aX: y"]
)
def test_an_odd_name_is_replaced(client: Client, sent: str) -> None:
    assert UUID(client.get("/healthz", headers={"X-Request-ID": sent}).headers["X-Request-ID"]).version == 7


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine-1 \r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"\r\n",
        HEAD + b"X",
        HEAD.lower() + b"X-Endless: yyy",
        b"GARBAGE\r\nX-REQUEST-ID:mine-1\r\n\r\n",
    ],
)
def test_a_request_that_never_reaches_the_app_has_its_name_too(head: bytes) -> None:
    assert named_in(head) == "mine-1"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        HEAD[:-4],  # it may go on
        HEAD[:-2],
        HEAD,
        HEAD + b" and more\r\n\r\n",
        HEAD + b"X-Request-ID: mine-2\r\n\r\n",
        HEAD.replace(b"-ID:", b"-ID :") + b"\r\n",
        HEAD.replace(b"mine", b"mine<script>") + b"\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n",
        b"X-Request-ID: mine-1\r\n\r\n",
        b"\r\nX-Request-ID:" + b" " * 65_000,
    ],
)
def test_a_name_that_cannot_be_read_safely_is_not_echoed(head: bytes) -> None:
    assert UUID(named_in(head)).version == 7


def test_every_line_of_a_request_has_its_name(
    make_app: MakeApp,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app(tmp_path / "empty", log_format="json")  # without tables: /models cannot be answered
    monkeypatch.setattr(errors, "log", structlog.get_logger())  # a used one has its settings
    client: Any = app.test_client()
    for name in ("one", "two"):
        assert client.get("/models", headers={"X-Request-ID": name}).status_code == 503
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines] == ["one", "two"]


@pytest.mark.parametrize(
    "address", ["/", "/healthz", "/nowhere", "/v2", "/openapi.json", "/static/rowmill.css"]
)
def test_every_answer_has_the_security_headers(client: Client, address: str) -> None:
    headers = client.get(address, headers={"Accept": "text/html"}, buffered=True).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]

"""Routes that read no body refuse one, but not the empty one that some clients send by habit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.conftest import Client


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize(
    ("body", "code"), [(b'{"priority": 1}', "unexpected_body"), (b"x" * 2000, "too_large")], ids=len
)
def test_a_body_is_refused_where_none_is_read(client: Client, method: str, body: bytes, code: str) -> None:
    address = "/jobs/x" if method != "post" else "/jobs/x/cancel"
    answer: Any = getattr(client, method)(address, data=body)
    assert answer.json["code"] == code


@pytest.mark.parametrize("body", [b"", b"{}", b" {} \n"])
def test_an_empty_body_does_no_harm(client: Client, body: bytes) -> None:
    answer: Any = client.post("/jobs/x/retry", data=body)
    assert answer.json["code"] == "job_not_found"

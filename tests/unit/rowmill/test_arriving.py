"""When a request is there: the same for however it is cut into packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowmill.stack.arriving import Arriving, Stage

PIECES = st.sampled_from(
    [
        *(b"POST /predict HTTP/1.1", b"GET /jobs/x/result HTTP/1.1", b"Content-Length: 3", b"Prefer: wait=9"),
        *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"a", b"abc", b":", b" "),
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.data())
def test_packets_make_no_difference(request_bytes: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(request_bytes)), max_size=8)))
    arriving = Arriving(b"", 0.0)
    for start, stop in zip([0, *cuts], [*cuts, len(request_bytes)], strict=True):
        arriving.received += request_bytes[start:stop]
        stage = arriving.stage()
        # the server asks no more once it has something to do
        if stage is not Stage.INCOMPLETE:
            break
    at_once = Arriving(bytes(arriving.received), 0.0)
    assert stage is at_once.stage()
    assert arriving.is_alone == at_once.is_alone


ADDRESSES = {
    Stage.COMPLETE: [
        "/healthz",
        "/jobs/x",
        "/jobs/x?a=%20",
        "/v2/health/ready",
        "/models/predict%3Fa",
        "/jobs",
    ],
    Stage.LONG: [
        *("/jobs/x/result", "/%6Aobs/x/result", "/jobs/x?wait=9", "/jobs/x?%77ait=9", "/jobs/x/errors.csv"),
        *("/jobs/a%20b?c=%20&wait=9", "/jobs?model=a&dry_run=1", "/feedback", "/feedback?job=x"),
        "http://localhost/jobs/x/result",
    ],
    Stage.PREDICTION: [
        *("/predict", "/predict?model=a%40b", "/%70redict", "/invocations?model=a", "/v2/models/a/ready"),
        *("http://localhost/predict", "//predict"),
    ],
}


@pytest.mark.parametrize(("stage", "addresses"), ADDRESSES.items(), ids=lambda value: str(value)[:20])
def test_each_kind_of_request_has_threads_of_its_own(stage: Stage, addresses: list[str]) -> None:
    heads = {address: f"GET {address} HTTP/1.1\r\n\r\n".encode() for address in addresses}
    assert {address: Arriving(head, 0.0).stage() for address, head in heads.items()} == dict.fromkeys(
        addresses, stage
    )


@pytest.mark.parametrize(
    ("head", "stage"),
    [
        (b"POST /jobs HTTP/1.1\r\nContent-Length: 99999", Stage.LONG),
        (b"POST /jobs HTTP/1.1\r\nTransfer-Encoding: chunked", Stage.LONG),
        (b"POST /jobs HTTP/1.1\r\nPrefer: wait=9", Stage.LONG),
        (b"POST /jobs HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x", Stage.LONG),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 99999", Stage.LARGE_PREDICTION),
        (b"POST /predict HTTP/1.1\r\nExpect: 100-continue", Stage.LARGE_PREDICTION),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 9", Stage.INCOMPLETE),
        (b"GET " + b"/jobs/x" * 9000 + b"?" + b"&a" * 300 + b" HTTP/1.1", Stage.COMPLETE),
        (b"GARBAGE", Stage.COMPLETE),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_the_body_counts_too(head: bytes, stage: Stage) -> None:
    assert Arriving(head + b"\r\n\r\n", 0.0).stage() is stage


def test_a_request_and_nothing_behind_it() -> None:
    request = b"POST /predict HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    for sent, is_alone in ((request[:-1], False), (request, True), (request + b"G", False)):
        arriving = Arriving(sent, 0.0)
        arriving.stage()
        assert arriving.is_alone == is_alone

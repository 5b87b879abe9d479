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


@pytest.mark.parametrize(
    "address",
    ["/jobs/x/result", "/%6Aobs/x/result", "/jobs/x?wait=9", "/jobs/x?%77ait=9", "/jobs/x/errors.csv"],
)
def test_what_may_take_long_gets_a_thread_of_its_own(address: str) -> None:
    assert Arriving(f"GET {address} HTTP/1.1\r\n\r\n".encode(), 0.0).stage() is Stage.LONG


def test_a_request_and_nothing_behind_it() -> None:
    request = b"POST /predict HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    for sent, is_alone in ((request[:-1], False), (request, True), (request + b"G", False)):
        arriving = Arriving(sent, 0.0)
        arriving.stage()
        assert arriving.is_alone == is_alone

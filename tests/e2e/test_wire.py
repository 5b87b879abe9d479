"""A short form of the sockets of ``make fuzz``, and its own readers of HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import AddedModel
from tests.e2e.bare_server import serving
from tests.fuzz.wire import answers, judging, strict
from tests.fuzz.wire.client import Heard
from tests.fuzz.wire.exchanges import HIDDEN, Exchanges
from tests.fuzz.wire.processes import Processes
from tests.fuzz.wire.run import goes_on, right_requests, talk
from tests.fuzz.wire.strict import Ending

SEED = 2026
CONNECTIONS = 350
IMPATIENT = "tests.fuzz.wire.server_settings"


def test_a_server_goes_on_whatever_is_sent(tmp_path: Path, wine: AddedModel) -> None:
    right = right_requests("wine", wine.sample.read_bytes())
    with serving(tmp_path, wine, IMPATIENT) as server:
        exchanges = Exchanges(SEED, right)
        first = talk(server, exchanges, range(CONNECTIONS, CONNECTIONS + 50))
        processes = Processes(server.pid)
        outcome = talk(server, exchanges, range(CONNECTIONS))
        assert first.faults + outcome.faults + goes_on(server, "wine", right) == []
        assert len(processes.pids) == 2
        processes.check()
    # they get somewhere, and what should be refused is there
    assert set(outcome.endings) == {ending.name for ending in Ending}
    assert outcome.statuses[b"200"] > CONNECTIONS / 4
    assert outcome.statuses[b"400"] > CONNECTIONS / 20


def test_an_exchange_can_be_made_again() -> None:
    first, again = (Exchanges(7, right_requests("wine", b"a,b\n1,2\n")) for _ in range(2))
    assert [first.make(number) for number in range(50)] == [again.make(number) for number in range(50)]


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("sent", "requests", "ending"),
    [
        (GET + b"\r\n" + GET + b"\r\n", 2, Ending.CLEAN),
        (b"\r\n" + POST + b"Content-Length: 3\r\n\r\nabc", 1, Ending.CLEAN),
        (POST + b"Content-Length: 3\r\n\r\nab", 0, Ending.CUT),
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n" + HIDDEN,
            2,
            Ending.CLEAN,
        ),
        (GET + b"Connection: te, close\r\n\r\n" + HIDDEN, 1, Ending.CLOSED),
        (b"GET / HTTP/1.0\r\n\r\n" + HIDDEN, 1, Ending.CLOSED),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 0, Ending.BAD),
        (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 0, Ending.BAD),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 0, Ending.BAD),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", 0, Ending.BAD),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", 0, Ending.BAD),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n", 0, Ending.BAD),
        (POST + b"Content-Length: 00000000000000000000000003\r\n\r\nabc" + HIDDEN, 2, Ending.CLEAN),
        (GET + b"X: a\r\n b\r\n\r\n", 0, Ending.BAD),
        (GET + b"X: a\x00b\r\n\r\n", 0, Ending.BAD),
        (GET.replace(b"\r\n", b"\n") + b"\n", 0, Ending.BAD),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, Ending.BAD),
    ],
)
def test_the_strict_reader(sent: bytes, requests: int, ending: Ending) -> None:
    seen = strict.read(sent)
    assert (len(seen.requests), seen.ending) == (requests, ending)


OK = b"HTTP/1.1 200 OK\r\nX-Request-ID: 1-1\r\nContent-Length: 2\r\n\r\nok"
LAST = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
NAMED = b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 1-1\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "received", "said"),
    [
        (NAMED, OK, ""),
        (NAMED, OK + OK, "2 answers to 1"),
        (NAMED + NAMED, LAST + OK, "behind the last"),
        (NAMED + NAMED, OK, "1 answers to 2"),
        (NAMED, OK.replace(b"1-1", b"1-2"), "has the answer 1-2"),
        (NAMED + b"nonsense\n", OK + OK, "200 to what is no whole request"),
        (NAMED, OK[:-1], "half an answer"),
        (NAMED, OK.replace(b"HTTP/1.1", b"HTTP/2"), "no HTTP"),
        (NAMED, OK.replace(b"Content-Length: 2", b"A: b"), "no HTTP"),
        (NAMED, OK.replace(b"200", b"500"), "500"),
        (NAMED, OK.replace(b"200", b"404"), "is no problem"),
    ],
)
def test_what_is_wrong_with_answers_is_told(sent: bytes, received: bytes, said: str) -> None:
    reasons = judging.faults(sent, Heard(bytearray(received), ended=True))
    assert any(said in reason for reason in reasons) if said else reasons == []


def test_interim_answers_are_no_answers() -> None:
    found, rest = answers.read(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, [b"POST"])
    assert ([answer.status for answer in found], rest) == ([200], b"")

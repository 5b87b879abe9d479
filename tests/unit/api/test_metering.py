"""What one request counts as: its status, and its time to the last byte, whatever kind of body it has."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest

from api.metering import Metered
from base.meter.folder import MeterFolder
from base.meter.meter import Meter
from base.meter.tally import Measured, Tally
from tests.conftest import Clock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Body = Callable[[], Iterable[bytes]]


class Asked:
    """A metered app that answers with a body of the test's, and what was counted of it."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self.environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": FileWrapper}
        self._meter = Meter(data_dir)
        self._clock = clock

    def answer(self, status: str, body: Body) -> Any:
        def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response(status, [])
            return body()

        return Metered(app, self._meter, self._clock)(self.environ, lambda *_: lambda _bytes: None)

    @property
    def counted(self) -> Tally:
        return Measured.of(self._meter.read(self._clock.now).series.values()).recent


@pytest.fixture
def asked(tmp_path: Path, clock: Clock) -> Iterator[Asked]:
    yield Asked(tmp_path, clock)
    for path in MeterFolder(tmp_path).paths():
        path.unlink()


@pytest.mark.parametrize(
    ("status", "refusals", "errors"),
    [("200 OK", 0, 0), ("304 Not Modified", 0, 0), ("422 No", 1, 0), ("500 Oh", 0, 1), ("503 Later", 0, 1)],
)
def test_refusals_and_errors_are_told_apart(asked: Asked, status: str, refusals: int, errors: int) -> None:
    answer = asked.answer(status, lambda: [b"done"])
    assert list(answer) == [b"done"]
    assert list(answer) == []
    answer.close()
    assert (asked.counted.requests, asked.counted.refusals, asked.counted.errors) == (1, refusals, errors)


def test_a_stream_is_timed_to_its_end(asked: Asked, clock: Clock) -> None:
    def stream() -> Iterator[bytes]:
        for _ in range(3):
            clock.advance(0.5)
            yield b"part"

    answer = asked.answer("200 OK", stream)
    assert list(answer) == [b"part"] * 3
    assert asked.counted.requests == 0
    clock.advance(0.5)  # the client takes the last of it
    answer.close()
    answer.close()
    assert asked.counted.requests == 1
    assert asked.counted.seconds == pytest.approx(2, abs=1e-6)
    assert asked.counted.quantile_seconds(0.5) == pytest.approx(2, rel=0.05)


def test_a_stream_that_breaks_off_is_an_error(asked: Asked) -> None:
    def stream() -> Iterator[bytes]:
        yield b"part"
        raise OSError("the file is gone")

    answer = asked.answer("200 OK", stream)
    with pytest.raises(OSError, match="gone"):
        list(answer)
    answer.close()
    assert (asked.counted.requests, asked.counted.errors) == (1, 1)


def test_an_app_that_raises_is_an_error(asked: Asked) -> None:
    def fail() -> Iterable[bytes]:
        raise MemoryError

    with pytest.raises(MemoryError):
        asked.answer("200 OK", fail)
    assert (asked.counted.requests, asked.counted.errors) == (1, 1)


def test_a_file_is_left_to_the_server_and_counted_when_it_is_closed(asked: Asked) -> None:
    file = io.BytesIO(b"result")
    answer = asked.answer("200 OK", lambda: FileWrapper(file))
    assert type(answer) is FileWrapper, "gunicorn sends no other kind with sendfile"
    assert list(answer) == [b"result"]
    assert asked.counted.requests == 0
    answer.close()
    assert asked.counted.requests == 1
    assert file.closed

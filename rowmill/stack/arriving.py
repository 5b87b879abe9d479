"""A request on its way in: what was received of it, whether it is enough for a thread, and for which one.

Knows bytes only, no sockets; what the bytes mean is gunicorn's to say.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

# More than an address line of full length and the headers of browsers and proxies have.
MAX_HEAD_BYTES = 64 << 10
# Bodies of up to this length are waited for; longer ones are read by a thread, as they come.
MAX_WAITED_BODY_BYTES = 64 << 10

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
# A body without a length, and one that is not sent before it is asked for.
_OPEN_BODY = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)
# An answer that may be waited for, and a form, which may ask for a dry run.
_LONG_HEADERS = re.compile(rb"\r\n(?:prefer:|content-type:[ \t]*multipart/)", re.IGNORECASE)
# Files, whoever reads them how fast, and joining labels; of jobs, waiting and scoring first rows.
_LONG_PATH = re.compile(rb"/jobs/[^/]+/+(?:result|errors)|/feedback/*\Z")
_LONG_OPTION = re.compile(rb"(?:\A|&)(?:wait|dry_run)=")
# What needs a model in memory, and waits while it is loaded.
_PREDICTION_PATH = re.compile(rb"/(?:predict|invocations)/*\Z|/v2/+models/")
# gunicorn refuses such a line end at once; a head with it would be waited for in vain.
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Stage(Enum):
    """How far a request has come; once it is ready, the threads that it is for."""

    INCOMPLETE = auto()
    COMPLETE = auto()  # all is there, or as much as tells that it is no request
    PREDICTION = auto()  # all is there, and its model may have to be loaded first
    LARGE_PREDICTION = auto()  # the same with a body of which only the head is there
    LONG = auto()  # the head is there; the body or the answer may take long
    ENDLESS = auto()  # a head that is too long


_BEGIN_WITH_THE_HEAD = frozenset({Stage.LARGE_PREDICTION, Stage.LONG})


class Arriving:
    """The bytes of one request from its first; ``since`` is the moment that it began to be waited for."""

    def __init__(self, received: bytes, since: float) -> None:
        self.since = since
        self.received = bytearray(received)
        self._searched_bytes = 0  # for the end of the head, which may come byte by byte
        self._complete_bytes: int | None = None  # known once the head is there
        self._head: bytes | None = None
        self._ready = Stage.COMPLETE

    @property
    def has_head(self) -> bool:
        """Whether the head was complete when :meth:`stage` was last asked."""
        return self._complete_bytes is not None

    @property
    def head(self) -> bytes:
        """The head, or as much as there is of it."""
        return bytes(self.received) if self._head is None else self._head

    @property
    def is_alone(self) -> bool:
        """Whether what was received is one whole request and nothing behind it."""
        return len(self.received) == self._complete_bytes

    def stage(self) -> Stage:
        """How far the request has come with what was received."""
        if self._complete_bytes is None:
            self._complete_bytes = self._read_head()
        if self._complete_bytes is None:
            if len(self.received) > MAX_HEAD_BYTES:
                return Stage.ENDLESS
            searched, self._searched_bytes = self._searched_bytes, len(self.received)
            return Stage.COMPLETE if _BARE_LF.search(self.received, searched) else Stage.INCOMPLETE
        if self._ready in _BEGIN_WITH_THE_HEAD or len(self.received) >= self._complete_bytes:
            return self._ready
        return Stage.INCOMPLETE

    def _read_head(self) -> int | None:
        """Bytes of the whole request; None while the end of its head is missing."""
        start = 2 if self.received.startswith(b"\r\n") else 0  # an empty line may stand before a request
        end = self.received.find(b"\r\n\r\n", max(start, self._searched_bytes - 3))
        if end < 0:
            return None
        head = self._head = bytes(self.received[start : end + 4])
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        self._ready = _stage_of(head, is_large=length > MAX_WAITED_BODY_BYTES)
        return end + 4 + length


def _stage_of(head: bytes, *, is_large: bool) -> Stage:
    """What a request is once it is ready."""
    path, options = _address(head)
    is_large = is_large or _OPEN_BODY.search(head) is not None
    if _PREDICTION_PATH.search(path):
        return Stage.LARGE_PREDICTION if is_large else Stage.PREDICTION
    is_long = is_large or _LONG_HEADERS.search(head) or _LONG_PATH.search(path)
    return Stage.LONG if is_long or (b"/jobs" in path and _LONG_OPTION.search(options)) else Stage.COMPLETE


def _address(head: bytes) -> tuple[bytes, bytes]:
    """Path and options as the app will read them: %6A is j."""
    words = head.split(b" ", 2)
    path, _, options = words[1].partition(b"?") if len(words) > 1 else (b"", b"", b"")
    return unquote_to_bytes(path), unquote_to_bytes(options)

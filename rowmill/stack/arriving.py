"""A request on its way in: what was received of it, and whether it is enough to give it to a thread.

Knows bytes only, no sockets; what the bytes mean is gunicorn's to say.
"""

from __future__ import annotations

import re
from enum import Enum, auto

# More than an address line of full length and the headers of browsers and proxies have.
MAX_HEAD_BYTES = 64 << 10
# Bodies of up to this length are waited for; longer ones are read by a thread, as they come.
MAX_WAITED_BODY_BYTES = 64 << 10

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
# A body without a length, one that is not sent before it is asked for, and an answer that may be waited for.
_LONG_HEADERS = re.compile(rb"\r\n(?:transfer-encoding|expect|prefer):", re.IGNORECASE)
# Files, whoever reads them how fast, waiting for a job, joining labels; or what may mean that: %6Aobs.
_LONG_ADDRESS = re.compile(
    rb"[A-Z]+ [^ ]*(?:/jobs/[^ /?]+(?:/result|/errors|[^ ]*[?&]wait=)|/feedback[ ?]|%)"
)
# gunicorn refuses such a line end at once; a head with it would be waited for in vain.
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Stage(Enum):
    """How far a request has come."""

    INCOMPLETE = auto()
    COMPLETE = auto()  # all is there, or as much as tells that it is no request
    LONG = auto()  # the head is there; the body or the answer may take long
    ENDLESS = auto()  # a head that is too long


class Arriving:
    """The bytes of one request from its first; ``since`` is the moment that it began to be waited for."""

    def __init__(self, received: bytes, since: float) -> None:
        self.since = since
        self.received = bytearray(received)
        self._searched_bytes = 0  # for the end of the head, which may come byte by byte
        self._complete_bytes: int | None = None  # known once the head is there
        self._is_long = False

    @property
    def has_head(self) -> bool:
        """Whether the head was complete when :meth:`stage` was last asked."""
        return self._complete_bytes is not None

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
        if self._is_long:
            return Stage.LONG
        return Stage.COMPLETE if len(self.received) >= self._complete_bytes else Stage.INCOMPLETE

    def _read_head(self) -> int | None:
        """Bytes of the whole request; None while the end of its head is missing."""
        start = 2 if self.received.startswith(b"\r\n") else 0  # an empty line may stand before a request
        end = self.received.find(b"\r\n\r\n", max(start, self._searched_bytes - 3))
        if end < 0:
            return None
        head = bytes(self.received[start : end + 4])
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        self._is_long = bool(
            length > MAX_WAITED_BODY_BYTES or _LONG_HEADERS.search(head) or _LONG_ADDRESS.match(head)
        )
        return end + 4 + length

"""What hostile, broken and hurried clients send, each from a seed and a number, and so made again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tests.fuzz.requests import Sent, mutated
from tests.fuzz.wire.framing import broken_framing, chunked

# A hidden request: whoever is led to believe that a body ends early answers it too.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: hidden\r\n\r\n"
GREETINGS = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    b"PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n" + bytes(16),
    b"SSH-2.0-OpenSSH_9.9\r\n",
    b"\r\n\r\n\r\n",
    b"GET /healthz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    bytes(3000),
]
VERSIONS = [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1", b"HTTP/1,1", b""]
TARGETS = [
    *(b"*", b"http://localhost/healthz", b"localhost:80", b"//", b"/%00", b"/\xc3\xa9", b"/a b", b""),
    *(b"/healthz?%zz", b"/jobs/../healthz", b"/" + b"a" * 9000, b"/jobs?wait=1&dry_run=1", b"/%2e%2e/%2e"),
]
METHODS = [
    b"get",
    b"G",
    b"GET\x00",
    b"CONNECT",
    b"TRACE",
    b"OPTIONS",
    b"M-SEARCH",
    b"GE(T",
    b"HEAD",
    b"A" * 30,
]
FIELDS = [
    *(
        b"X-A : b",
        b" X-A: b",
        b"X-A: b\r\n folded",
        b"X-A: b\r\n\tfolded",
        b"X-A: \x00",
        b"X-A: a\rb",
        b"X-A",
    ),
    *(
        b"X-A: a\nX-B: b",
        b": b",
        b"X\xc3\xa9: b",
        b"X-A: \xff\xfe",
        b"X-A: \x7f",
        b"Host: localhost",
        b"X-A:",
    ),
    *(b"Host: evil.example", b"Host:", b"Expect: 100-continue", b"Expect: 200-ok", b"Connection: close"),
    *(b"Connection: keep-alive", b"Connection: close, te", b"Connection: upgrade", b"Upgrade: h2c"),
    *(b"HTTP2-Settings: AAMAAABkAAQAAP__", b"X_Request_ID: other", b"Content_Length: 3", b"Trailer: Host"),
    *(b"X-Forwarded-For: 1.2.3.4", b"SCRIPT_NAME: /a", b"Content-Type: text/csv\r\nContent-Type: a/b"),
    *(b"X-Long: " + b"y" * 9000, b"X-Longer: " + b"y" * 70_000, b"\r\n".join([b"X-Many: y"] * 120)),
]


class End(Enum):
    """What the client does once it has sent everything."""

    ENOUGH = auto()  # reads as many answers as there can be, and closes
    HALF = auto()  # says that it has sent all, and reads to the end
    WAIT = auto()  # reads until the server ends the connection
    CLOSE = auto()  # closes, and reads nothing
    RESET = auto()  # breaks off
    DEAF = auto()  # leaves the answers unread for a while, and closes


_ENDS = (End.HALF,) * 12 + (End.ENOUGH,) * 4 + (End.CLOSE,) * 2 + (End.WAIT, End.RESET, End.DEAF)


@dataclass(frozen=True)
class Exchange:
    """What one client does; ``pieces`` are sent one after the other, as packets may come."""

    pieces: tuple[bytes, ...]
    end: End

    @property
    def sent(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class Exchanges:
    """Makes exchange ``number`` of a seed."""

    def __init__(self, seed: int, right: Sequence[Sent]) -> None:
        """``right``: requests that are right, to start from."""
        self._seed = seed
        self._right = right

    def make(self, number: int) -> Exchange:
        """Always the same for the same seed and number."""
        rng = random.Random(f"wire/{self._seed}/{number}")
        sent = b"".join(
            self._request(rng, f"{number}-{place}") for place in range(rng.choice([1, 1, 1, 2, 3, 5]))
        )
        kind = rng.random()
        if kind < 0.04:
            sent = rng.choice(GREETINGS) + (sent if rng.random() < 0.3 else b"")
        elif kind < 0.14:
            sent = mutated(rng, sent)
        elif kind < 0.24:
            sent = sent[: rng.randrange(len(sent) + 1)]
        return Exchange(tuple(_pieces(rng, sent)), rng.choice(_ENDS))

    def _request(self, rng: random.Random, name: str) -> bytes:
        """One request; half of them are as they should be."""
        right = rng.choice(self._right)
        target = right.path + (b"?" + right.query if right.query else b"")
        words = [right.method.encode(), target, b"HTTP/1.1"]
        fields = [b"Host: localhost", b"X-Request-ID: " + name.encode()]
        fields += [b"%s: %s" % line for line in _fields(right)]
        framing, body = _framing(rng, right.body)
        if rng.random() < 0.15:
            place, odd = rng.choice([(0, METHODS), (1, TARGETS), (2, VERSIONS)])
            words[place] = rng.choice(odd)
        if rng.random() < 0.2:
            fields.insert(rng.randrange(2, len(fields) + 1), rng.choice(FIELDS))
        if rng.random() < 0.03:
            fields.remove(b"Host: localhost")
        line_end = b"\r\n" if rng.random() < 0.96 else rng.choice([b"\n", b"\r", b"\r\r\n", b"\n\r"])
        return line_end.join([b" ".join(words), *fields, *framing, b"", b""]) + body


def _fields(sent: Sent) -> list[tuple[bytes, bytes]]:
    """The headers of a request as WSGI has them, as they were sent."""
    names = {name: name.removeprefix("HTTP_").replace("_", "-").encode() for name in sent.headers}
    return [(names[name], value.encode("latin-1")) for name, value in sent.headers.items()]


def _framing(rng: random.Random, body: bytes) -> tuple[list[bytes], bytes]:
    """The lines that say where a body ends, and the body."""
    kind = rng.random()
    if kind < 0.2:
        return broken_framing(rng, body, HIDDEN)
    if kind < 0.4:
        return [b"Transfer-Encoding: chunked"], chunked(rng, body)
    if kind < 0.5 and body:
        return [b"Content-Length: %d" % len(body), b"Expect: 100-continue"], body
    return ([b"Content-Length: %d" % len(body)] if body else []), body


def _pieces(rng: random.Random, sent: bytes) -> list[bytes]:
    """As one packet, as a few, or its first part byte by byte."""
    kind = rng.random()
    if kind < 0.5 or len(sent) < 2:
        return [sent]
    if kind < 0.55:
        head = sent[: rng.choice([20, 60])]
        return [*(bytes([byte]) for byte in head), sent[len(head) :]]
    cuts = sorted(rng.sample(range(1, len(sent)), min(len(sent) - 1, rng.choice([1, 2, 5]))))
    return [sent[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True)]

"""Bodies whose end two readers may see in two places: lengths and chunks, right ones and broken ones."""

from __future__ import annotations

import random

CODINGS = [
    *(
        b"chunked, chunked",
        b"gzip, chunked",
        b"identity",
        b"identity, chunked",
        b"xchunked",
        b"chunked, gzip",
    ),
    *(b"\x0bchunked", b"chunked\x00", b'"chunked"', b"chunked;q=1", b"", b",chunked", b"chunked,", b"rot13"),
]
LENGTHS = [
    *(
        b"-1",
        b"+5",
        b"5 5",
        b"5,5",
        b"0x5",
        b"5.0",
        b"1e1",
        b"",
        b"\xb2",
        b"\xd9\xa5",
        b"5\x00",
        b"_5",
        b"5_0",
    ),
    *(b"9" * 30, b"9" * 5000, b"00000000000000000005", b"18446744073709551621"),
]
EXTENSIONS = [
    *(b";a", b";a=b", b' ; a = "b"', b';a="\\""', b";a;b=c;d", b";", b";;a", b";a=", b'; a="b', b";a\x00"),
    *(b";a=\r", b";a\nb", b";" + b"a" * 9000, b" ", b"\t;a", b";\xff"),
]
SIZES = [
    *(
        b"",
        b"-1",
        b"+1",
        b"0x1",
        b" 1",
        b"1 ",
        b"g",
        b"1_0",
        b"\xb2",
        b"ffffffffffffffff",
        b"fffffffffffffffff",
    ),
    *(b"0" * 30 + b"1", b"0" * 9000 + b"1", b"f" * 9000, b"1\x00", b"8000000000000000", b"."),
]
TRAILERS = [
    *(b"X-A: b\r\n", b"X-A: b\r\nX-C: d\r\n", b"Host: evil\r\n", b"Content-Length: 5\r\n", b"X-A: b\n"),
    *(b"X-A : b\r\n", b" folded: b\r\n", b"X-A: b\r\n c\r\n", b"X-A\r\n", b"X-A: \x00\r\n", b"X-A: a\rb\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"X-A: " + b"y" * 9000 + b"\r\n", b"X-A: b\r\n" * 150),
]


def chunked(rng: random.Random, body: bytes) -> bytes:
    """The body in chunks, as it should be."""
    coded = b""
    while body:
        size = rng.randint(1, len(body))
        digits = b"%x" % size if rng.random() < 0.5 else b"%04X" % size
        coded += digits + (b";a=b" if rng.random() < 0.1 else b"") + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return coded + b"0\r\n" + (b"X-A: b\r\n" if rng.random() < 0.1 else b"") + b"\r\n"


def broken_framing(rng: random.Random, body: bytes, hidden: bytes) -> tuple[list[bytes], bytes]:
    """Lines of a head and a body, in one of the ways in which readers are led astray."""
    length, coding = b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked"
    ways: list[tuple[list[bytes], bytes]] = [
        ([length, coding], b"0\r\n\r\n" + hidden),
        ([coding, b"Content-Length: %d" % (5 + len(hidden))], b"0\r\n\r\n" + hidden),
        ([coding, coding], chunked(rng, body) + hidden),
        ([b"Transfer-Encoding: " + rng.choice(CODINGS)], chunked(rng, body) + hidden),
        ([b"Transfer-Encoding: " + rng.choice(CODINGS), length], body + hidden),
        ([b"Transfer-Encoding : chunked"], chunked(rng, body) + hidden),
        ([b"X: y\r\n Transfer-Encoding: chunked"], chunked(rng, body)),
        ([length, b"Content-Length: %d" % (len(body) + len(hidden))], body + hidden),
        ([length, length], body + hidden),
        ([b"Content-Length: " + rng.choice(LENGTHS)], body + hidden),
        ([b"Content-Length: %d" % (len(body) + rng.choice([1, 40, 100_000]))], body + hidden),
        ([b"Content-Length: %d" % max(0, len(body) - rng.choice([1, 7]))], body),
        ([coding], _broken_chunks(rng, body) + hidden),
        ([coding], _broken_chunks(rng, body)),
    ]
    return rng.choice(ways)


def _broken_chunks(rng: random.Random, body: bytes) -> bytes:
    start = chunked(rng, body).removesuffix(b"0\r\n\r\n")
    size, end = b"%x" % len(body), rng.choice([b"\n", b"\r", b"", b"\r\n\r\n", b"\n\r", b"ab\r\n"])
    ways = [
        rng.choice(SIZES) + b"\r\n" + body + b"\r\n0\r\n\r\n",
        size + rng.choice(EXTENSIONS) + b"\r\n" + body + b"\r\n0\r\n\r\n",
        size + end + body + b"\r\n0\r\n\r\n",
        size + b"\r\n" + body + end + b"0\r\n\r\n",
        size + b"\r\n" + body[:-2] + b"\r\n0\r\n\r\n",
        start + b"0" + rng.choice(EXTENSIONS) + b"\r\n\r\n",
        start + b"0\r\n" + rng.choice(TRAILERS) + b"\r\n",
        start + b"0\r\n" + end,
        start + b"0\r\n",
        start,
    ]
    return rng.choice(ways)

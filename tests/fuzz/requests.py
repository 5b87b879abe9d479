"""Requests that nobody would write by hand, each made from a seed and a number, and so made again."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote_to_bytes

ROW = {"alcohol": 13.2, "malic_acid": 1.8, "ash": 2.4}
BODIES = [
    b"",
    b"{}",
    b"null",
    b'{"model": "wine", "features": {}}',
    json.dumps({"model": "wine", "instances": [ROW, ROW]}).encode(),
    json.dumps({"dataframe_split": {"columns": list(ROW), "data": [[1, 2, None]]}}).encode(),
    json.dumps({"dataframe_records": [ROW]}).encode(),
    b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}',
    b"alcohol,malic_acid,ash\n1,2,3\n4,5,\n",
    b'{"alcohol": 1}\n{"alcohol": 2}\n',
    b"PAR1\x00\x00\x00\x00PAR1",
    b"PK\x03\x04" + bytes(40),
    b"\x1f\x8b\x08\x00" + bytes(30),
    b"\x89PNG\r\n\x1a\n" + bytes(40),
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n1,2\n\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwine\r\n--x--\r\n',
]
TYPES = [
    "application/json",
    "text/csv",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "image/png",
    "text/csv; charset=utf-16",
    "application/json; charset=\xff",
]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "wine",
    "wine@1",
    "wine@production",
    "wine@99",
    "@",
    "null",
    "NaN",
    "1e999",
    "9" * 400,
    "\x00",
    "\ud7ff",
    "\xff\xfe",
    "../../etc/passwd",
    "{}",
    "*",
    "a,b,,c",
    "'; DROP TABLE jobs",
    "\r\nX: y",
    "%",
    "\u0663",
    "7d",
    "100%",
    "id",
]
HEADERS = [
    "ACCEPT",
    "CONTENT_ENCODING",
    "CONTENT_DIGEST",
    "CONTENT_DISPOSITION",
    "IDEMPOTENCY_KEY",
    "IF_MATCH",
    "IF_NONE_MATCH",
    "IF_RANGE",
    "IF_MODIFIED_SINCE",
    "RANGE",
    "X_REQUEST_ID",
    "AUTHORIZATION",
    "X_API_KEY",
    "INFERENCE_HEADER_CONTENT_LENGTH",
    "HOST",
    "COOKIE",
    "X_FORWARDED_FOR",
    "ACCEPT_ENCODING",
    "ORIGIN",
    "TRANSFER_ENCODING",
]
LINES = [
    "gzip",
    "zstd",
    "deflate",
    "br",
    "bytes=0-1",
    "bytes=-5",
    "bytes=9-1,2-3",
    "bytes=" + "1-2," * 300,
    "text/html",
    "*/*;q=x",
    "sha-256=:AAAA:",
    'attachment; filename="\xff.csv"',
    "Basic \xff",
    "Basic Og==",
    "Bearer rm_0_0",
    "10",
    "localhost",
    "evil.example",
    "http://localhost",
    "[::1",
    '"a", W/"b"',
    "Fri, 31 Feb 2026 25:61:61 GMT",
    "chunked",
]
# What stands in Authorization half of the time, whatever else may.
LOGINS = [
    "Basic",
    "Basic \xff",
    "Basic Og==",
    "Basic %%%",
    "Bearer",
    "Bearer rm_0_0",
    "Bearer a.b.c",
    "Digest x",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "\xff"]


@dataclass(frozen=True)
class Sent:
    """A request as WSGI sees it."""

    method: str
    path: bytes
    query: bytes
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, Any]:
        """With bytes in texts as WSGI has them: each as the letter of its number."""
        return {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path.decode("latin-1"),
            "QUERY_STRING": self.query.decode("latin-1"),
            "CONTENT_LENGTH": str(len(self.body)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **self.headers,
        }


class Maker:
    """Makes request ``number`` of a seed, for the routes and names that the server has."""

    def __init__(
        self,
        seed: int,
        routes: dict[str, list[str]],
        options: list[str],
        jobs: list[str],
        sensible: Sequence[Sent] = (),
    ) -> None:
        """``sensible``: requests that are right; a third of all are these, often with some bytes changed."""
        self._seed = seed
        self._sensible = sensible
        self._routes = routes  # the methods of each path
        self._options = options
        self._jobs = jobs

    def make(self, number: int) -> Sent:
        """Always the same for the same seed and number."""
        rng = random.Random(f"{self._seed}/{number}")
        if self._sensible and rng.random() < 0.33:
            return self._nearly(rng, rng.choice(self._sensible))
        headers = dict(self._header(rng) for _ in range(rng.choice([0, 0, 1, 2, 5])))
        if rng.random() < 0.7:
            headers["CONTENT_TYPE"] = rng.choice(TYPES)
        route = rng.choice(list(self._routes))
        method = rng.choice(METHODS if rng.random() < 0.2 else self._routes[route])
        return Sent(
            method,
            self._path(rng, route),
            self._query(rng),
            mutated(rng, rng.choice(BODIES)),
            headers,
        )

    def _nearly(self, rng: random.Random, right: Sent) -> Sent:
        more = dict([self._header(rng)]) if rng.random() < 0.2 else {}
        query = self._query(rng) if rng.random() < 0.1 else right.query
        return replace(right, body=mutated(rng, right.body), query=query, headers=right.headers | more)

    def _path(self, rng: random.Random, route: str) -> bytes:
        parts = route.split("/")
        filled = [self._part(rng, part) if part.startswith("{") else part.encode() for part in parts]
        path = b"/".join(filled)
        return mutated(rng, path) if rng.random() < 0.1 else path

    def _part(self, rng: random.Random, part: str) -> bytes:
        if part == "{job_id}" and rng.random() < 0.7:
            return rng.choice(self._jobs).encode()
        if part in ("{name}", "{reference}") and rng.random() < 0.7:
            return b"wine"
        return rng.choice(VALUES).encode("utf-8", "surrogatepass")

    def _query(self, rng: random.Random) -> bytes:
        pairs = [
            f"{rng.choice(self._options)}={quote(rng.choice(VALUES), errors='surrogatepass')}"
            for _ in range(rng.choice([0, 1, 1, 2, 4]))
        ]
        query = "&".join(pairs).encode()
        if rng.random() < 0.1:
            query = unquote_to_bytes(query)
        return mutated(rng, query) if rng.random() < 0.1 else query

    def _header(self, rng: random.Random) -> tuple[str, str]:
        name = rng.choice(HEADERS)
        is_login = name == "AUTHORIZATION" and rng.random() < 0.5
        return f"HTTP_{name}", self._line(rng, LOGINS if is_login else [*LINES, *VALUES])

    def _line(self, rng: random.Random, lines: Sequence[str]) -> str:
        line = rng.choice(lines).encode("utf-8", "surrogatepass")
        if rng.random() < 0.3:
            line = mutated(rng, line)
        # a server lets no line end and no NUL through
        return line.decode("latin-1").translate(dict.fromkeys(map(ord, "\r\n\0"), "?"))


def mutated(rng: random.Random, data: bytes) -> bytes:
    """``data`` with some bytes changed, removed, doubled or added; often as it was."""
    changed = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 2, 8])):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(4):
            case 0:
                changed[at:at] = rng.randbytes(rng.choice([1, 2, 30]))
            case 1:
                del changed[at : at + rng.choice([1, 5])]
            case 2:
                changed[at:at] = changed[at : at + 20]
            case _:
                changed[at : at + 1] = bytes([rng.choice([0, 10, 34, 44, 123, 127, 255])])
    return bytes(changed)

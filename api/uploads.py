"""Getting a file out of a request: a raw body under whatever Content-Type, or the files of a form.

Either way it streams to the store in large blocks; nothing of it is kept in memory, and Werkzeug's own form
parsing, which would swallow a body that curl labels as a form, is never triggered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from flask import Request
from werkzeug.http import parse_options_header

from api import forms
from jobs.errors import Problem
from jobs.image_parts import FileParts
from jobs.intake import Upload

BLOCK_BYTES = 1 << 20
# A refusal reaches a client only after it has sent its body; up to this much is read for its sake.
MAX_DRAINED_BYTES = 64 << 20
MAX_DRAINED_SECONDS = 30.0
CODINGS = {"", "identity", "gzip", "x-gzip", "zstd"}


def refuse_unknown_coding(request: Request) -> None:
    """Raise ``Problem`` for a Content-Encoding that cannot be undone here."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in CODINGS:
        raise Problem(
            "unsupported_encoding",
            f"Content-Encoding {coding!r} is not known. Send the file plain, gzip or zstd.",
        )


def is_multipart(request: Request) -> bool:
    """Whether the body is a form with parts."""
    return request.mimetype == "multipart/form-data"


class Body:
    """A request's body to read from: one that breaks off is a ``Problem``, never half a file.

    ``watchers`` are called with each block, and with nothing at the end; they may raise to refuse the rest.
    """

    def __init__(self, request: Request, *watchers: Callable[[bytes], None]) -> None:
        self._watchers = watchers
        self._stream = request.stream
        self._announced = request.content_length or 0  # 0 if it is sent in chunks: those have an end mark
        self._received = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, at least one; none at the end. Raises ``Problem`` (``incomplete_body``)."""
        try:
            block = self._stream.read(size)
        except TimeoutError as error:
            raise Problem(
                "too_slow", f"The body came too slowly ({error}). Nothing was accepted; send it again."
            ) from error
        except Exception as error:  # what a server raises at broken framing has no common base
            raise _incomplete(f"It cannot be read: {type(error).__name__}.") from error
        self._received += len(block)
        # gunicorn ends a body whose client went away as if it were whole
        if not block and self._received < self._announced:
            raise _incomplete(
                f"It has {self._received} of the {self._announced} bytes of its Content-Length."
            )
        for watch in self._watchers:
            watch(block)
        return block


def _incomplete(reason: str) -> Problem:
    return Problem("incomplete_body", f"The body broke off. {reason} Nothing was accepted; send it again.")


def read_raw(request: Request, body: Body, upload: Upload) -> str:
    """Stream the whole body into ``upload``; returns its name at the client, if one was sent."""
    while block := body.read(BLOCK_BYTES):
        upload.write(block)
    return parse_options_header(request.headers.get("Content-Disposition"))[1].get("filename", "")


def read_form(request: Request, body: Body, upload: Upload) -> tuple[str, dict[str, str]]:
    """Stream the files of a form into ``upload``; returns the name of an only one, and the other fields."""
    files = FileParts(upload)
    fields = forms.read_form(boundary_of(request), body.read, files.add)
    return files.finish(), fields


def boundary_of(request: Request) -> str:
    """What parts a form's parts."""
    return request.mimetype_params.get("boundary", "")


def options_of(query: Mapping[str, list[str]], fields: Mapping[str, str]) -> dict[str, str]:
    """Options of the URL and of the form together; one that is given twice must agree.

    Lists may be given value by value, or as one with commas.
    """
    if len(query.get("model", ())) > 1:
        raise Problem("bad_option", "The option model is given more than once.")
    options = {name: ",".join(values) for name, values in query.items()}
    for name, value in fields.items():
        if options.setdefault(name, value) != value:
            raise Problem(
                "bad_option", f"Option {name!r} is {options[name]!r} in the URL, but {value!r} in the form."
            )
    return options


@contextmanager
def drained(request: Request) -> Iterator[None]:
    """Read what a refused client is still sending, so that it gets the answer and not a broken connection."""
    try:
        yield
    except Exception:
        if getattr(request.environ["wsgi.input"], "is_held_back", False):
            raise  # the client asked first (Expect: 100-continue), and sends nothing
        left, body, until = MAX_DRAINED_BYTES, Body(request), time.monotonic() + MAX_DRAINED_SECONDS
        with suppress(Problem):  # it broke off: there is no more to read
            while left > 0 and time.monotonic() < until and (block := body.read(min(BLOCK_BYTES, left))):
                left -= len(block)
        raise

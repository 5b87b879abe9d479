"""Reading a multipart form part by part, as it arrives: files as blocks that nobody has to keep, and fields.

Werkzeug's decoder does the parsing; its form parser wants a file object for each part, so it is not used.
What the files and the fields mean is not known here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from jobs.errors import Problem

# The decoder holds its buffer, not only a field, to the limit of a field: a block must fit with what is left
# of the block before it, or every file larger than the limit is refused.
BLOCK_BYTES = 256 << 10
MAX_FIELD_BYTES = 2 * BLOCK_BYTES
MAX_FIELDS = 100
# Clients call their files by all of these; PHP and many JavaScript libraries add the brackets to lists.
FILE_PARTS = {name + mark for name in ("file", "files", "image", "images") for mark in ("", "[]")}
ADVICE = (
    "Send files as parts called file or image: curl -F file=@data.csv, or -F image=@a.png -F image=@b.png"
)

# Takes a file's name at the client, which may be empty, and its bytes.
Take = Callable[[str, Iterator[bytes]], None]


def read_form(boundary: str, read: Callable[[int], bytes], take: Take) -> dict[str, str]:
    """Hand each file of the form to ``take`` as it comes; returns the fields, repeated ones joined by commas.

    ``read`` gives the body. Raises ``Problem`` (``bad_multipart``) for what is no form, or holds other parts.
    """
    if not boundary:
        raise Problem("bad_multipart", "The form has no boundary in its Content-Type; let the client set it.")
    fields, files, left = defaultdict[str, list[str]](list), 0, MAX_FIELD_BYTES
    events = _events(boundary, read)
    for event in events:
        if isinstance(event, File | Field):
            name = event.name or ""
            if isinstance(event, File) or (name in FILE_PARTS and "content-type" in event.headers):
                _check_file_part(name)
                take(event.filename if isinstance(event, File) else "", _blocks(events))
                files += 1
            else:
                _check_field(name, sum(map(len, fields.values())))
                text = _text(_blocks(events), left)
                left -= len(text)
                fields[name].append(text.decode("utf-8", "replace"))
    if not files:
        raise Problem("bad_multipart", f"The form has no file. {ADVICE}.")
    return {name: ",".join(values) for name, values in fields.items()}


def _check_file_part(name: str) -> None:
    if name not in FILE_PARTS:
        raise Problem("bad_multipart", f"The form has a file called {name[:100]!r}. {ADVICE}.")


def _check_field(name: str, count: int) -> None:
    if name in FILE_PARTS:
        raise Problem(
            "bad_multipart", f"The part {name!r} is a text, not a file; curl wants an @ before a file's name."
        )
    if count >= MAX_FIELDS:
        raise Problem("bad_multipart", f"The form has more than {MAX_FIELDS} fields that are not files.")


def _events(boundary: str, read: Callable[[int], bytes]) -> Iterator[Event]:
    with _told():
        decoder = MultipartDecoder(boundary.encode("latin-1"), max_form_memory_size=MAX_FIELD_BYTES)
    while not decoder.complete:
        block = read(BLOCK_BYTES)
        with _told():
            decoder.receive_data(block or None)
        while not isinstance(event := _next(decoder), NeedData | Epilogue):
            yield event


def _next(decoder: MultipartDecoder) -> Event:
    with _told():
        return decoder.next_event()


@contextmanager
def _told() -> Iterator[None]:
    """What the decoder does not like becomes a refusal."""
    try:
        yield
    except UnicodeDecodeError as error:
        text = (
            f"The header of a part is not UTF-8: {error.object!r:.300}. Rename the file, or send an archive."
        )
        raise Problem("bad_multipart", text) from error
    except ValueError as error:
        raise Problem("bad_multipart", f"The form cannot be read: {error}.") from error
    except RequestEntityTooLarge as error:
        text = f"The header of a part has more than {BLOCK_BYTES} bytes, or the form goes on after its end."
        raise Problem("bad_multipart", text) from error


def _blocks(events: Iterator[Event]) -> Iterator[bytes]:
    """The bytes of the part whose beginning was the last event."""
    for event in events:
        assert isinstance(event, Data), "a part's bytes follow its header"
        yield event.data
        if not event.more_data:
            return


def _text(blocks: Iterator[bytes], most: int) -> bytes:
    value = bytearray()
    for block in blocks:
        value += block
        if len(value) > most:
            text = f"The fields have more than {MAX_FIELD_BYTES} bytes together. {ADVICE}."
            raise Problem("bad_multipart", text)
    return bytes(value)

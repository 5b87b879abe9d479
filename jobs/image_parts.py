"""The files of one form as one input: a single file stays as it is, several images become one stored zip.

Decided while they arrive. That there is a second file, or that the only one is an image, is known after the
first was written; it is then moved into the archive, which costs one more copy of that one file. Names are
kept as they were sent: which of them can be rows is decided by planning, as for any archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from base.formats.archive.names import is_clutter
from base.formats.content import HEAD_BYTES, content_of
from base.formats.zip_writer import ZipWriter
from jobs.errors import Problem
from jobs.intake import Upload

MAX_FILES = 10_000
BLOCK_BYTES = 1 << 20


class FileParts:
    """Add every file of a form in its order, then :meth:`finish`; all of it goes into ``upload``."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._archive: ZipWriter | None = None
        self._first_name = ""
        self._first_head = bytearray()
        self.count = 0

    def add(self, name: str, blocks: Iterable[bytes]) -> None:
        """Take a file. Raises ``Problem`` for one too many, and for an archive or a table beside others."""
        self.count += 1
        if self.count == 1:
            self._first_name = name
            for block in blocks:
                _fill(self._first_head, block)
                self._upload.write(block)
            return
        if self.count > MAX_FILES:
            text = (
                f"A form may have {MAX_FILES} files; send more of them as one zip or tar, in a single part."
            )
            raise Problem("too_large", text)
        if self._archive is None:
            _refuse_mixed(self._first_name, self._first_head)
            self._archive = self._begin_archive()
        self._archive.add(_member_name(name, self.count), _checked(name, blocks))

    def finish(self) -> str:
        """Complete the input; returns the name of the only file, nothing for a set of them."""
        if self.count == 1 and content_of(bytes(self._first_head)) == "image":
            self._archive = self._begin_archive()
        if self._archive is not None:
            self._archive.finish()
        return self._first_name if self.count == 1 else ""

    def _begin_archive(self) -> ZipWriter:
        """Move the first file into an archive, as its first member."""
        with self._upload.start_over() as written:
            archive = ZipWriter(self._upload)
            archive.add(_member_name(self._first_name, 1), iter(lambda: written.read(BLOCK_BYTES), b""))
        return archive


def _member_name(name: str, number: int) -> str:
    """A name that is a row's: in an archive, no name, a folder's or a file manager's would be no row."""
    is_no_row = not name or name.endswith(("/", "\\")) or is_clutter(name)
    return f"image-{number:06}" if is_no_row else name


def _checked(name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of one file among several, refused as soon as its head shows that it is no image's."""
    head = bytearray()
    for block in blocks:
        if _fill(head, block):
            _refuse_mixed(name, head)
        yield block
    _refuse_mixed(name, head)


def _fill(head: bytearray, block: bytes) -> bool:
    """Add what is still wanted of a file's beginning; whether that completed it."""
    wanted = HEAD_BYTES - len(head)
    head += block[:wanted]
    return 0 < wanted <= len(block)


def _refuse_mixed(name: str, head: bytearray) -> None:
    content = content_of(bytes(head))
    if content in ("archive", "table"):
        noun = "an archive or compressed" if content == "archive" else "a table"
        raise Problem(
            "mixed_files",
            f"The form has several files, and {name[:100]!r} is {noun}. Only images can be sent together; "
            "send this one as a job of its own.",
        )

"""Archives with everything in them that somebody could send by mistake or in malice, among good images.

Each builder takes good images, uses them all, and returns the archive with what every row must say: the name
that the result shows, and a code, or None for a good image. Written with zipfile and tarfile; what those
would never write is patched into their bytes.
"""

from __future__ import annotations

import io
import itertools
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Patch = Callable[[bytearray, int, int], None]  # of the archive, at a directory record, at a local header
DIRECTORY_RECORD = b"PK\x01\x02"
BAD_NAMES = ("/etc/passwd", "../../up.png", "in/../../up.png", "C:\\windows.png", "bell\x07.png", "n" * 2000)


@dataclass
class Hostile:
    """An archive, and for each of its rows the name in the result and the code."""

    content: bytes
    rows: list[tuple[str, str | None]] = field(default_factory=list)


def shown(name: str) -> str:
    """A bad name as the result shows it."""
    return name.replace("\x07", "\\x07")[:1024]


def zipped(files: dict[str, bytes]) -> bytes:
    """A plain zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def put(place: int, number: int, size: int, *, local: bool = False) -> Patch:
    """Write a number into the directory's record, or into the local header."""

    def patch(content: bytearray, record: int, header: int) -> None:
        at = (header if local else record) + place
        content[at : at + size] = number.to_bytes(size, "little")

    return patch


def flip_data(content: bytearray, _record: int, header: int) -> None:
    """Change one byte of the data."""
    name_length = int.from_bytes(content[header + 26 : header + 28], "little")
    content[header + 30 + name_length + 20] ^= 0xFF


def raise_number(place: int) -> Patch:
    """Make a number of the directory's record larger by one."""

    def patch(content: bytearray, record: int, _header: int) -> None:
        number = int.from_bytes(content[record + place : record + place + 4], "little") + 1
        content[record + place : record + place + 4] = number.to_bytes(4, "little")

    return patch


def hostile_zip(good: Sequence[bytes]) -> Hostile:
    """A zip with a good image between any two members that are bad; 30 good images are enough."""
    image, deflate, store = good[0], zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED
    bad: list[tuple[str, bytes, str, int, Patch | None]] = [
        ("damaged.png", image, "corrupt", store, flip_data),
        ("cut.png", image[: len(image) // 2], "image_unreadable", deflate, None),
        ("text.png", b"not an image", "image_unreadable", deflate, None),
        ("empty.png", b"", "empty_member", store, None),
        ("large.png", bytes((64 << 20) + 1), "too_large", deflate, None),
        ("bomb.png", bytes(10 << 20), "decompression_bomb", deflate, None),
        ("secret.png", image, "encrypted", deflate, put(8, 1, 2)),
        ("lzma.png", image, "unsupported_method", zipfile.ZIP_LZMA, None),
        ("bzip2.png", image, "unsupported_method", zipfile.ZIP_BZIP2, None),
        ("deflate64.png", image, "unsupported_method", deflate, put(10, 9, 2)),
        ("future.png", image, "unsupported_method", deflate, put(10, 77, 2)),
        ("good-1.png", image, "duplicate_name", deflate, None),
        ("link.png", b"/etc/passwd", "not_a_file", store, put(38, (stat.S_IFLNK | 0o777) << 16, 4)),
        ("device.png", b"x", "not_a_file", store, put(38, stat.S_IFCHR << 16, 4)),
        ("archive.png", zipped({"in.png": image}), "nested_archive", store, None),
        ("report.docx", zipped({"[Content_Types].xml": b"x"}), "image_unreadable", store, None),
        ("size.png", image, "corrupt", deflate, raise_number(24)),
        ("packed.png", image, "overlapping", deflate, put(20, 1 << 30, 4)),
        ("checksum.png", image, "corrupt", deflate, raise_number(16)),
        ("renamed.png", image, "corrupt", deflate, put(30, ord("X"), 1, local=True)),
        ("no-header.png", image, "corrupt", deflate, put(0, 0, 4, local=True)),
        ("outside.png", image, "overlapping", deflate, put(42, 0xFFFFFFF0, 4)),
        *((name, image, "unsafe_name", deflate, None) for name in BAD_NAMES),
    ]
    buffer = io.BytesIO()
    rows: list[tuple[str, str | None]] = []
    patches: list[Patch | None] = []
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of names that come twice

        def add(name: str, data: bytes, method: int, patch: Patch | None = None) -> None:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            archive.writestr(info, data, method)
            patches.append(patch)

        for number, (data, kind) in enumerate(itertools.zip_longest(good, bad)):
            if data is not None:
                add(f"good-{number}.png", data, deflate if number % 2 else store)
                rows.append((f"good-{number}.png", None))
            if kind is not None:
                name, content, code, method, patch = kind
                add(name, content, method, patch)
                rows.append((shown(name), code))
            if number % 5 == 0:  # no rows at all
                add(f"folder-{number}/", b"", store)
                add(f"__MACOSX/._good-{number}.png", b"x", store)
    return Hostile(patched(buffer.getvalue(), patches), rows)


def patched(archive: bytes, patches: Sequence[Patch | None]) -> bytes:
    """Apply a patch to each member of a zip, by its number."""
    content = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as reader:
        record, headers = reader.start_dir, [info.header_offset for info in reader.infolist()]
    for patch, header in zip(patches, headers, strict=True):
        lengths = (int.from_bytes(content[record + at : record + at + 2], "little") for at in (28, 30, 32))
        following = record + 46 + sum(lengths)
        if patch:
            patch(content, record, header)
        record = following
    return bytes(content)


def hostile_tar(good: Sequence[bytes]) -> Hostile:
    """A tar likewise; it ends in the middle of its last member."""
    image = good[0]
    bad: list[tuple[str, bytes, str, bytes]] = [
        ("cut.png", image[: len(image) // 2], "image_unreadable", tarfile.REGTYPE),
        ("text.png", b"not an image", "image_unreadable", tarfile.REGTYPE),
        ("empty.png", b"", "empty_member", tarfile.REGTYPE),
        ("good-1.png", image, "duplicate_name", tarfile.REGTYPE),
        ("./good-2.png", image, "duplicate_name", tarfile.REGTYPE),
        ("symbolic.png", b"", "not_a_file", tarfile.SYMTYPE),
        ("hard.png", b"", "not_a_file", tarfile.LNKTYPE),
        ("device.png", b"", "not_a_file", tarfile.CHRTYPE),
        ("fifo.png", b"", "not_a_file", tarfile.FIFOTYPE),
        ("vendor.png", image, "not_a_file", b"Q"),
        ("sparse.png", image, "unsupported_method", tarfile.GNUTYPE_SPARSE),
        ("archive.tar.png", tarred({"in.png": image}), "nested_archive", tarfile.REGTYPE),
        ("archive.zip.png", zipped({"in.png": image}), "nested_archive", tarfile.REGTYPE),
        *((name, image, "unsafe_name", tarfile.REGTYPE) for name in BAD_NAMES),
    ]
    buffer = io.BytesIO()
    rows: list[tuple[str, str | None]] = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for number, (data, kind) in enumerate(itertools.zip_longest(good, bad)):
            if data is not None:
                archive.addfile(member(f"good-{number}.png", data), io.BytesIO(data))
                rows.append((f"good-{number}.png", None))
            if kind is not None:
                name, content, code, flag = kind
                archive.addfile(member(name, content, flag), io.BytesIO(content))
                rows.append((shown(name), code))
            if number % 5 == 0:  # no rows at all
                archive.addfile(member(f"folder-{number}", b"", tarfile.DIRTYPE))
                archive.addfile(member(f"._good-{number}.png", b"x"), io.BytesIO(b"x"))
        last = member("last.png", bytes(5000))
        archive.addfile(last, io.BytesIO(bytes(5000)))
        end = archive.offset - 3000
    rows.append(("last.png", "truncated"))
    return Hostile(buffer.getvalue()[:end], rows)


def member(name: str, data: bytes, flag: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """The header of one member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = flag, len(data), "/etc/passwd" if flag in b"12" else ""
    return info


def tarred(files: dict[str, bytes]) -> bytes:
    """A plain tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            archive.addfile(member(name, data), io.BytesIO(data))
    return buffer.getvalue()

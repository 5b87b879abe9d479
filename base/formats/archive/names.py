"""Names of members: made readable, told apart, and judged. A name from an archive never becomes a path here.

Users unpack the archives that they score, and join results with folders by name. So a name that would leave
the folder, or that a terminal would act on, is a fault of its row.
"""

from __future__ import annotations

import re
from hashlib import blake2b

MAX_NAME = 1024
# What macOS and Windows put beside the user's files.
_CLUTTER = ("__MACOSX/",)
_CLUTTER_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini"}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SUSPECT = re.compile(r"[\x00-\x1f\x7f-\x9f\\:]|\.\.")
_DRIVE = re.compile(r"[A-Za-z]:")


def decoded(raw: bytes, encoding: str = "utf-8") -> str:
    r"""The name as text; bytes that are none in ``encoding`` are shown as ``\xe9``."""
    return raw.decode(encoding, "backslashreplace")


def is_clutter(name: str) -> bool:
    """Whether a file manager made the file, not the user."""
    last = name.rsplit("/", 1)[-1]
    return name.startswith(_CLUTTER) or last in _CLUTTER_NAMES or last.startswith("._")


def fault(name: str) -> str | None:
    """Why nobody should unpack a file of this name, or None."""
    if not name:
        return "it has no name"
    if len(name) > MAX_NAME:
        return f"its name has {len(name)} characters; at most {MAX_NAME} are read"
    if name[0] == "/":
        return "its name is an absolute path"
    return _rare_fault(name) if _SUSPECT.search(name) else None


def _rare_fault(name: str) -> str | None:
    if _CONTROL.search(name):
        return "its name holds control characters"
    if name[0] == "\\":
        return "its name is an absolute path"
    if _DRIVE.match(name):
        return "its name begins with a drive letter"
    if ".." in re.split(r"[/\\]", name):
        return "its name climbs out of its folder with '..'"
    return None


def printable(name: str) -> str:
    r"""The name as the result shows it: cut to :data:`MAX_NAME`, control characters written as ``\x1b``."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", name[:MAX_NAME])


class Seen:
    """Finds names that stood before in the same archive.

    Keeps a digest of 8 bytes a name, about 50 MB of Python integers for the 500,000 names of the largest
    archive.
    """

    def __init__(self) -> None:
        self._digests: set[int] = set()

    def is_repeated(self, name: str) -> bool:
        """Whether a file of this name was asked about before; ``./a`` and ``a`` are one file."""
        if "./" in name or "//" in name:
            name = "/".join(part for part in name.split("/") if part not in ("", "."))
        digest = int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        before = len(self._digests)
        self._digests.add(digest)
        return len(self._digests) == before

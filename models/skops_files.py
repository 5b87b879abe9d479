"""Files of skops: estimators without pickle. What is not known to be harmless is confirmed by name.

skops knows the types that do nothing but hold numbers; every other type that a file names could run code
while it is loaded, or read memory that is not its own. Needs the extra ``rowmill[skops]``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from models.errors import ArtefactRefused
from models.manifest import StoredFile
from models.pickles import Contents, check

ENDING = ".skops"
SCHEMA = "schema.json"
# A forest's schema has some kilobytes for each tree.
MAX_SCHEMA_BYTES = 256 * 1024 * 1024


def is_skops(path: Path) -> bool:
    """By content: skops writes zip files, which no pickle is."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def inspect(path: Path, source: str) -> Contents:
    """The modules and scikit-learn versions that the file names; nothing of it is imported.

    Raises ArtefactRefused ``unreadable_artefact``.
    """
    contents = Contents()
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(SCHEMA).file_size > MAX_SCHEMA_BYTES:
                raise _unreadable(source, f"{SCHEMA} has more than {MAX_SCHEMA_BYTES} bytes")
            schema = json.loads(archive.read(SCHEMA))
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise _unreadable(source, f"{type(error).__name__}: {error}") from error
    contents.names["skops"] = {"io"}
    for node in _nodes(schema):
        if isinstance(module := node.get("__module__"), str):
            contents.names.setdefault(module, set()).add(str(node.get("__class__")))
        version = node.get("_sklearn_version")
        if isinstance(version, dict) and isinstance(version.get("content"), str):
            contents.sklearn_versions.add(version["content"].strip('"'))
    return contents


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def trusting(stored: StoredFile, folder: Path, trust: Sequence[str]) -> StoredFile:
    """The file with those of the confirmed types that it needs.

    Raises ArtefactRefused ``untrusted_types`` with all that are not confirmed, ``unreadable_artefact``.
    """
    io = _skops_io()
    try:
        unknown: list[str] = io.get_untrusted_types(file=folder / stored.file)
    # a damaged or hostile file makes the reader fail in any way at all
    except Exception as error:
        raise _unreadable(stored.source, f"{type(error).__name__}: {error}") from error
    if missing := [name for name in unknown if name not in trust]:
        options = " ".join(f"--trust {name}" for name in missing)
        raise ArtefactRefused(
            "untrusted_types",
            f"{stored.source} uses types that skops does not know to be harmless: {', '.join(missing)}. If "
            f"you made the file yourself, or trust who did, confirm them with {options}.",
        )
    return stored.model_copy(update={"trusted": tuple(unknown)})


def load(stream: IO[bytes], path: Path, stored: StoredFile, code_modules: Collection[str]) -> Any:
    """The estimator in ``stream``, if the types recorded with the file are all that it needs confirmed.

    Raises ArtefactRefused with what makes the file unusable here.
    """
    io = _skops_io()
    try:
        return io.load(stream, trusted=list(stored.trusted))
    # a file may name anything, and its types fail in any way; each is told apart and raised again as one kind
    except Exception as error:
        check(inspect(path, stored.source), stored.source, code_modules)
        raise ArtefactRefused(
            "unloadable_artefact",
            f"{stored.source} cannot be loaded: {type(error).__name__}: {error}. Load it with skops.io.load "
            "in this environment to see more, or train and save it again here.",
        ) from error


def _skops_io() -> Any:
    try:
        from skops import io  # noqa: PLC0415 - an extra, and slow
    except ModuleNotFoundError as missing:
        raise ArtefactRefused(
            "module_not_installed",
            "Files of skops need the extra: run `pip install 'rowmill[skops]'` in Rowmill's environment.",
        ) from missing
    return io


def _unreadable(source: str, reason: str) -> ArtefactRefused:
    return ArtefactRefused(
        "unreadable_artefact",
        f"{source} is not a complete file of skops ({reason}). Save the fitted estimator with "
        "skops.io.dump(model, 'model.skops') and add that file.",
    )

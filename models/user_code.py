"""The user's own modules, stored with a version: copied, digested, importable only while it works.

Two versions may bring different modules under one name, in one process. So a bundle's modules stand in
``sys.modules`` only inside :meth:`Bundle.mounted` (loading and scoring), one bundle at a time; imports that
the user's functions make late work there too. Sources are compiled from the verified files themselves, never
from a cached .pyc.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from base.files import sha256_of
from models.errors import ArtefactRefused
from models.manifest import Code
from models.pickles import OUR_MODULES

FOLDER = "code"
MAX_BYTES = 50 * 1024 * 1024
_IGNORED = ("__pycache__", ".*", "*.pyc")
# One bundle is mounted at a time; the same thread may enter again.
_turn = threading.RLock()


def store(source: Path, folder: Path) -> Code:
    """Copy a module, a package or a folder of modules into ``folder``/code.

    A folder with an ``__init__.py`` is a package of the folder's name; any other holds modules. Raises
    ArtefactRefused (``code_unreadable``, ``code_too_large``, ``shadowed_module``).
    """
    target = folder / FOLDER
    _copy(source, target)
    files = _files(target)
    modules = _top_level(target)
    if not modules:
        raise ArtefactRefused(
            "code_unreadable",
            f"--code {source} holds no Python module; name a .py file or a folder with some.",
        )
    for module in modules:
        _check_module_name(module, source)
    return Code(sha256=_digest(target, files), modules=tuple(modules), files=tuple(files))


class Bundle:
    """The stored modules of one version; raises ArtefactRefused ``digest_mismatch`` if a file was changed."""

    def __init__(self, folder: Path, code: Code) -> None:
        self.modules = code.modules
        root = folder / FOLDER
        files = _files(root) if root.is_dir() else []
        if tuple(files) != code.files or _digest(root, files) != code.sha256:
            raise ArtefactRefused(
                "digest_mismatch",
                f"The files in {root} are not the ones that were added with --code and will not be loaded. "
                "Restore them or add the model again.",
            )
        self._finder = _Finder(root, code.modules)
        self._loaded: dict[str, ModuleType] = {}

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Make the modules importable in this bundle's form; what had their names before comes back."""
        with _turn:
            before = self._taken_out()
            sys.modules.update(self._loaded)
            sys.meta_path.insert(0, self._finder)
            try:
                yield
            finally:
                sys.meta_path.remove(self._finder)
                self._loaded = self._taken_out()
                sys.modules.update(before)

    def _taken_out(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] in self.modules]
        return {name: sys.modules.pop(name) for name in names}


class _SourceOnly(SourceFileLoader):
    def path_stats(self, path: Any) -> Any:
        """No time stamp: neither reads nor writes a cached .pyc, which no digest covers."""
        raise OSError(path)


class _Finder(MetaPathFinder):
    def __init__(self, root: Path, modules: Sequence[str]) -> None:
        self._root = root
        self._modules = frozenset(modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self._modules:
            return None
        for place in path if path is not None else [str(self._root)]:
            spec = FileFinder(place, (_SourceOnly, [".py"])).find_spec(fullname, target)
            if spec is not None:
                return spec
        return None


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            _check_size(sum(path.stat().st_size for path in source.rglob("*") if path.is_file()), source)
            place = target / source.resolve().name if (source / "__init__.py").exists() else target
            shutil.copytree(source, place, ignore=shutil.ignore_patterns(*_IGNORED))
        else:
            target.mkdir()
            shutil.copyfile(source, target / source.name)
    except (OSError, shutil.Error) as error:
        raise ArtefactRefused("code_unreadable", f"--code {source} cannot be read: {error}.") from error


def _check_size(size: int, source: Path) -> None:
    if size > MAX_BYTES:
        raise ArtefactRefused(
            "code_too_large",
            f"--code {source} holds {size} bytes, more than {MAX_BYTES}; name only your modules' folder.",
        )


def _files(root: Path) -> list[str]:
    """Relative paths of all regular files, sorted, without Python's own caches."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def _top_level(root: Path) -> list[str]:
    return sorted(
        path.stem if path.is_file() else path.name
        for path in root.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    )


def _digest(root: Path, files: Sequence[str]) -> str:
    total = hashlib.sha256()
    for name in files:
        total.update(f"{sha256_of(root / name)}  {name}\n".encode())
    return total.hexdigest()


def _check_module_name(module: str, source: Path) -> None:
    if not module.isidentifier():
        raise ArtefactRefused(
            "code_unreadable", f"--code {source}: {module!r} cannot be imported under that name; rename it."
        )
    if module in OUR_MODULES:
        taken = "a part of Rowmill"
    elif module in sys.stdlib_module_names:
        taken = "a module of Python itself"
    elif importlib.util.find_spec(module) is not None and not _found_in_working_folder(module):
        taken = "an installed library"
    else:
        return
    raise ArtefactRefused(
        "shadowed_module",
        f"--code {source}: the module {module!r} has the name of {taken}. Rename it (for example "
        f"my_{module}), train and save the model again.",
    )


def _found_in_working_folder(module: str) -> bool:
    """The user's own file, seen only because the command was started beside it."""
    spec = importlib.util.find_spec(module)
    origin = spec.origin if spec else None
    return origin is not None and Path(origin).is_relative_to(Path.cwd()) and "site-packages" not in origin

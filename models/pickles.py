"""What a pickle refers to, read without running any of it, and why it cannot be loaded here.

A dry walk: the unpickler's own machine, with an inert stand-in for every class and function. It works for
plain pickles and for joblib's files, compressed or not (their arrays stand between the opcodes, where
pickletools loses its way). Module names and scikit-learn versions are found before any foreign code runs.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import sklearn
from joblib.compressor import BinaryZlibFile
from joblib.numpy_pickle import NumpyUnpickler

from models.errors import ArtefactRefused

# Our own rooms are on the path of every process, so a user's module of the same name can never be meant.
OUR_MODULES = frozenset(
    {"api", "base", "benchmarks", "celeryconfig", "examples", "jobs", "models", "rowmill", "tests", "workers"}
)
DISTRIBUTIONS = {
    "category_encoders": "category-encoders",
    "cloudpickle": "cloudpickle",
    "cv2": "opencv-python-headless",
    "feature_engine": "feature-engine",
    "imblearn": "imbalanced-learn",
    "lightgbm": "lightgbm",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "sksurv": "scikit-survival",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "yaml": "pyyaml",
}
_OPENERS: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
    (b"\x5d\x00", lzma.open),
    (b"\x78", BinaryZlibFile),
)
_REAL = {("numpy", "dtype"), ("numpy", "ndarray"), ("joblib.numpy_pickle", "NumpyArrayWrapper")}


@dataclass
class Contents:
    """Modules with the names used of each, and the scikit-learn versions that wrote the estimators."""

    names: dict[str, set[str]] = field(default_factory=dict)
    sklearn_versions: set[str] = field(default_factory=set)

    @property
    def packages(self) -> set[str]:
        """Top-level module names."""
        return {module.partition(".")[0] for module in self.names}


def inspect(path: Path, source: str) -> Contents:
    """What the pickle at ``path`` refers to; ArtefactRefused ``unreadable_artefact`` if it is none."""
    contents = Contents()
    with path.open("rb") as raw:
        stream = _decompressed(raw)
        try:
            _DryWalk(stream, contents).load()
        # a damaged or foreign file makes the machine fail in any way at all
        except Exception as error:
            raise ArtefactRefused(
                "unreadable_artefact",
                f"{source} is not a complete pickle or joblib file ({type(error).__name__}: {error}). "
                "Save the fitted estimator with joblib.dump(model, 'model.joblib') and add that file.",
            ) from error
    return contents


def check(contents: Contents, source: str, code_modules: Collection[str]) -> None:
    """Refuse what cannot be loaded in this environment, naming the one thing to do about it."""
    for package in sorted(contents.packages):
        if package in ("__main__", "__mp_main__"):
            raise _main(contents, package, source)
        if package in OUR_MODULES:
            raise _shadowed(package, source)
    for version in sorted(contents.sklearn_versions):
        check_version(version, source)
    for package in sorted(contents.packages - set(code_modules)):
        if not _installed(package):
            raise _not_installed(package, source)


def check_version(version: str, source: str) -> None:
    """Refuse what was saved by another scikit-learn than the one that is here."""
    if version != sklearn.__version__:
        raise _other_sklearn(version, source)


def explain(path: Path, source: str, code_modules: Collection[str], error: Exception) -> ArtefactRefused:
    """Why loading failed with ``error``: the known reasons first, else the error itself."""
    if isinstance(error, ArtefactRefused):
        return error
    try:
        check(inspect(path, source), source, code_modules)
    except ArtefactRefused as reason:
        return reason
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _not_installed(error.name.partition(".")[0], source)
    return ArtefactRefused(
        "unloadable_artefact",
        f"{source} cannot be loaded: {type(error).__name__}: {error}. Load it with joblib.load in this "
        "environment to see more, or train and save it again here.",
    )


def _decompressed(raw: IO[bytes]) -> Any:
    head = raw.read(8)
    raw.seek(0)
    for magic, opener in _OPENERS:
        if head.startswith(magic):
            return opener(raw, "rb")
    return raw


class _Inert:
    """Stands in for any class, function or object of the pickle: takes everything, does nothing."""

    contents = Contents()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> _Inert:
        # the machine also calls this on what it takes for a class and is an instance here
        return object.__new__(cls if isinstance(cls, type) else type(cls))

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __call__(self, *_args: Any, **_kwargs: Any) -> _Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        version = state.get("_sklearn_version") if isinstance(state, dict) else None
        if isinstance(version, str):
            self.contents.sklearn_versions.add(version)

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...

    def add(self, value: Any) -> None: ...


class _DryWalk(NumpyUnpickler):  # type: ignore[misc]  # joblib ships no types
    def __init__(self, stream: IO[bytes], contents: Contents) -> None:
        super().__init__("", stream, ensure_native_byte_order=False)
        self._contents = contents
        self._stand_in = type("_Inert", (_Inert,), {"contents": contents})

    def find_class(self, module: str, name: str) -> Any:
        self._contents.names.setdefault(module, set()).add(name)
        if (module, name) in _REAL:
            return super().find_class(module, name)
        return self._stand_in

    def persistent_load(self, _id: Any) -> Any:
        return self._stand_in()


def _installed(package: str) -> bool:
    if package in sys.builtin_module_names or package in ("__builtin__", "copy_reg"):
        return True
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return package in sys.modules


def _main(contents: Contents, package: str, source: str) -> ArtefactRefused:
    names = ", ".join(sorted(contents.names[package]))
    return ArtefactRefused(
        "needs_main",
        f"{source} uses {names}, defined in the training script or notebook itself (__main__), which is not "
        "part of the file. Move it into a module of its own, say features.py, import it from there, train "
        "and save again, and add the model with --code features.py.",
    )


def _shadowed(package: str, source: str) -> ArtefactRefused:
    return ArtefactRefused(
        "shadowed_module",
        f"{source} uses a module called {package!r}, which is also the name of a part of Rowmill, so the "
        f"wrong one would be loaded. Rename your module (for example my_{package}), train and save again, "
        f"and add the model with --code my_{package}.py.",
    )


def _other_sklearn(version: str, source: str) -> ArtefactRefused:
    here = sklearn.__version__
    return ArtefactRefused(
        "other_sklearn_version",
        f"{source} was saved with scikit-learn {version}; this environment has {here}, which may answer "
        f"otherwise. Run `pip install scikit-learn=={version}` in Rowmill's environment, or train and save "
        f"the model again with {here}.",
    )


def _not_installed(package: str, source: str) -> ArtefactRefused:
    own_code = f"add the model with --code {package}.py (or its folder)"
    # only names known to be right are suggested: a guessed one may be somebody's trap
    if distribution := DISTRIBUTIONS.get(package):
        advice = f"Run `pip install {distribution}` in Rowmill's environment."
    else:
        advice = (
            f"If it is your own code, {own_code}; if it is a library, install that in Rowmill's environment."
        )
    return ArtefactRefused(
        "module_not_installed",
        f"{source} needs the module {package!r}, which is not installed here. {advice}",
    )

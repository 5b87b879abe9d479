"""A version's files on their way in: copied under their digests, examined before any of it runs."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.files import DigestWriter
from models import pickles, skops_files
from models.errors import ArtefactRefused
from models.manifest import Code, StoredFile
from models.user_code import store

BLOCK = 1 << 20


@dataclass(frozen=True)
class Files:
    """What lies in the folder of a version."""

    artefact: StoredFile
    preprocessor: StoredFile | None
    code: Code | None

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the user's own."""
        return self.code.modules if self.code else ()

    @property
    def estimators(self) -> tuple[StoredFile, ...]:
        """The files that are loaded."""
        return (self.artefact, self.preprocessor) if self.preprocessor else (self.artefact,)


def take_in(
    folder: Path, artefact: Path, preprocessor: Path | None, code: Path | None, trust: Sequence[str]
) -> Files:
    """Copy the files into ``folder``; ``trust`` are the confirmed types of those that skops wrote.

    Raises ArtefactRefused.
    """
    files = Files(
        artefact=_keep(artefact, folder, "model", trust),
        preprocessor=_keep(preprocessor, folder, "preprocessor", trust) if preprocessor else None,
        code=store(code, folder) if code else None,
    )
    needed = {name for stored in files.estimators for name in stored.trusted}
    for name in trust:
        if name not in needed:
            raise ArtefactRefused(
                "nothing_to_trust",
                f"--trust {name}: {artefact.name} has no such type that must be confirmed; leave it out.",
            )
    return files


def _keep(source: Path, folder: Path, name: str, trust: Sequence[str]) -> StoredFile:
    stored = name + (".pkl" if source.suffix in (".pkl", ".pickle") else ".joblib")
    try:
        if skops_files.is_skops(source):
            stored = name + skops_files.ENDING
        with source.open("rb") as stream, (folder / stored).open("xb") as out:
            writer = DigestWriter(out)
            while block := stream.read(BLOCK):
                writer.write(block)
    except OSError as error:
        raise ArtefactRefused(
            "unreadable_artefact", f"{source} cannot be copied: {error.strerror}."
        ) from error
    kept = StoredFile(file=stored, sha256=writer.sha256, bytes=writer.bytes, source=source.name)
    return skops_files.trusting(kept, folder, trust) if stored.endswith(skops_files.ENDING) else kept


def checked_packages(files: Files, folder: Path) -> set[str]:
    """The libraries that the files refer to, all of them installed; ArtefactRefused if not."""
    packages: set[str] = set()
    for stored in files.estimators:
        reader = skops_files if stored.file.endswith(skops_files.ENDING) else pickles
        contents = reader.inspect(folder / stored.file, stored.source)
        pickles.check(contents, stored.source, files.modules)
        packages |= contents.packages
    return packages - set(files.modules)


def libraries(packages: set[str]) -> dict[str, str]:
    """Versions of Python and of the installed distributions of these packages."""
    versions = {"python": platform.python_version()}
    for package in {"sklearn", "numpy", "joblib"} | packages - sys.stdlib_module_names:
        for distribution in _distributions(package):
            versions[distribution.lower()] = importlib.metadata.version(distribution)
    return dict(sorted(versions.items()))


def _distributions(package: str) -> Sequence[str]:
    """The distributions that bring a package; reading all metadata is slow, and seldom needed."""
    name = pickles.DISTRIBUTIONS.get(package, package)
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.packages_distributions().get(package, [])
    return [name]

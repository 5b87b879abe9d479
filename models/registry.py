"""Where versions live: rows in the database hold digests, manifests and alias moves; files lie in folders.

``root/<name>/<version>/`` exists for every row. A folder without a row is left from an interrupted add and is
replaced by the next one. What a file must be to become a version stands in ``adding``.
"""

from __future__ import annotations

import difflib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from base.database import Database
from base.database.tables import alias_moves, versions
from base.files import make_folder
from models.adding import NewVersion, prepare
from models.errors import ModelError, ModelNotFound
from models.loading import LoadedModel, load
from models.manifest import Manifest
from models.names import check_alias, check_name, parse

PRODUCTION = "production"
STAGING_SECONDS = 24 * 3600
_TRIES = 10


class Registry:
    """All versions of all models. Holds nothing in memory: a version added elsewhere counts at once."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._marks = root / ".changes"

    def changes(self) -> int:
        """How often anything was added or moved so far, by any process: a number that only grows."""
        try:
            return self._marks.stat().st_size
        except FileNotFoundError:
            return 0

    def _mark_change(self) -> None:
        """One byte more: a size, unlike a time of change, tells apart two changes of the same moment."""
        make_folder(self._root)
        with self._marks.open("ab") as marks:
            marks.write(b".")

    def folder(self, name: str, version: int) -> Path:
        """Where the files of a version lie."""
        return self._root / name / str(version)

    def add(self, new: NewVersion) -> Manifest:
        """Add a version of ``new.name``; on any error nothing is left behind.

        Raises ModelError ``invalid_name``, or what :func:`models.adding.prepare` refuses.
        """
        check_name(new.name)
        with self._staging() as staging:
            draft = prepare(new, staging)
            _sync(*staging.rglob("*"), staging)
            for _ in range(_TRIES):
                try:
                    manifest = self._publish(draft, staging)
                except IntegrityError:
                    continue  # another process took the number
                self._mark_change()
                return manifest
        raise ModelError("busy", f"Other versions of {new.name} are being added at once; try again.")

    def _publish(self, draft: Manifest, staging: Path) -> Manifest:
        with self._database.writing() as connection:
            newest = select(func.max(versions.c.version)).where(versions.c.name == draft.name)
            now = self._database.now(connection)
            manifest = draft.model_copy(
                update={
                    "version": (connection.execute(newest).scalar() or 0) + 1,
                    "created_at": _rfc3339(now),
                }
            )
            # the row first: whoever holds its key is the only one who may touch the folder
            connection.execute(
                insert(versions).values(
                    name=manifest.name,
                    version=manifest.version,
                    sha256=manifest.sha256,
                    created_at=now,
                    manifest=manifest.model_dump(mode="json"),
                )
            )
            self._move_in(staging, self.folder(manifest.name, manifest.version))
            return manifest

    @staticmethod
    def _move_in(staging: Path, folder: Path) -> None:
        make_folder(folder.parent)
        if folder.exists():
            shutil.rmtree(folder)  # left from an add that died before its row was committed
        staging.rename(folder)
        _sync(folder.parent)

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        place = self._root / ".staging"
        make_folder(place)
        self._sweep(place)
        folder = place / str(uuid7())
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _sweep(place: Path) -> None:
        """Remove what adds that were killed left behind, long ago."""
        for folder in place.iterdir():
            if time.time() - folder.stat().st_mtime > STAGING_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def get(self, name: str, version: int) -> Manifest:
        """One version's manifest; ModelNotFound if there is none."""
        with self._database.reading() as connection:
            return self._get(connection, name, version)

    def load(self, name: str, version: int) -> LoadedModel:
        """One version in memory, its files checked against the digests in the database."""
        return load(self.get(name, version), self.folder(name, version))

    def list(self, name: str | None = None) -> list[Manifest]:
        """Every version that is not retired, by name and then version."""
        query = select(versions.c.manifest).where(versions.c.retired_at.is_(None))
        if name is not None:
            query = query.where(versions.c.name == name)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(versions.c.name, versions.c.version)).scalars()
            return [Manifest.model_validate(row) for row in rows]

    def is_empty(self) -> bool:
        """Whether there is no version at all."""
        with self._database.reading() as connection:
            return not self._names(connection)

    def aliases(self) -> dict[str, dict[str, int]]:
        """Where every alias points now: ``{"wine": {"production": 3}}``."""
        newest = select(func.max(alias_moves.c.id)).group_by(alias_moves.c.name, alias_moves.c.alias)
        query = select(alias_moves).where(alias_moves.c.id.in_(newest)).order_by(alias_moves.c.alias)
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for move in connection.execute(query):
                found.setdefault(move.name, {})[move.alias] = move.version
        return found

    def set_alias(self, name: str, version: int, alias: str, moved_by: str, note: str | None = None) -> None:
        """Point ``alias`` at a version; earlier moves stay in the history."""
        check_alias(alias)
        with self._database.writing() as connection:
            self._get(connection, name, version)
            connection.execute(
                insert(alias_moves).values(
                    name=name,
                    alias=alias,
                    version=version,
                    moved_at=self._database.now(connection),
                    moved_by=moved_by,
                    note=note,
                )
            )
        self._mark_change()

    def alias_history(self, name: str, alias: str) -> Sequence[dict[str, Any]]:
        """Every move of an alias, oldest first: version, moved_at (seconds), moved_by, note."""
        query = (
            select(alias_moves.c.version, alias_moves.c.moved_at, alias_moves.c.moved_by, alias_moves.c.note)
            .where(alias_moves.c.name == name, alias_moves.c.alias == alias)
            .order_by(alias_moves.c.id)
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def resolve(self, reference: str | None, default: str | None = None) -> Manifest:
        """The version that ``wine``, ``wine@3`` or ``wine@production`` means now.

        ``wine`` alone is the alias ``production`` if set, else the latest version. Without a reference:
        ``default``, else the only model there is. Raises ModelNotFound (``unknown_model``,
        ``unknown_version``, ``unknown_alias``) or ModelError (``invalid_reference``, ``model_required``,
        ``no_models``).
        """
        with self._database.reading() as connection:
            name, version, alias = parse(reference or default or self._only_name(connection))
            if version is None and alias is not None:
                version = self._alias(connection, name, alias)
                if version is None:
                    raise self._unknown_alias(connection, name, alias)
            if version is None:
                version = self._alias(connection, name, PRODUCTION) or self._latest(connection, name)
            return self._get(connection, name, version)

    def _get(self, connection: Connection, name: str, version: int) -> Manifest:
        query = select(versions.c.manifest).where(
            versions.c.name == name, versions.c.version == version, versions.c.retired_at.is_(None)
        )
        manifest = connection.execute(query).scalar()
        if manifest is None:
            latest = self._latest(connection, name)
            raise ModelNotFound(
                "unknown_version", f"{name} has no version {version}; the latest is {name}@{latest}."
            )
        return Manifest.model_validate(manifest)

    def _latest(self, connection: Connection, name: str) -> int:
        query = select(func.max(versions.c.version)).where(
            versions.c.name == name, versions.c.retired_at.is_(None)
        )
        latest: int | None = connection.execute(query).scalar()
        if latest is None:
            raise self._unknown_model(connection, name)
        return latest

    def _alias(self, connection: Connection, name: str, alias: str) -> int | None:
        query = (
            select(alias_moves.c.version)
            .where(alias_moves.c.name == name, alias_moves.c.alias == alias)
            .order_by(alias_moves.c.id.desc())
            .limit(1)
        )
        version: int | None = connection.execute(query).scalar()
        return version

    def _names(self, connection: Connection) -> Sequence[str]:
        query = select(versions.c.name).where(versions.c.retired_at.is_(None)).distinct()
        return sorted(connection.execute(query).scalars())

    def _only_name(self, connection: Connection) -> str:
        names = self._names(connection)
        if len(names) == 1:
            return names[0]
        if not names:
            raise ModelError(
                "no_models", "There is no model yet: add one with `rowmill models add NAME FILE`."
            )
        raise ModelError(
            "model_required", f"Say which model: {', '.join(names)} (or set ROWMILL_DEFAULT_MODEL)."
        )

    def _unknown_model(self, connection: Connection, name: str) -> ModelNotFound:
        names = self._names(connection)
        near = difflib.get_close_matches(name, names, 1, 0.5)
        if near:
            hint = f"did you mean {near[0]}?"
        elif names:
            hint = f"there are {', '.join(names[:20])}."
        else:
            hint = "there is none yet; add one with `rowmill models add NAME FILE`."
        return ModelNotFound("unknown_model", f"There is no model {name!r}; {hint}")

    def _unknown_alias(self, connection: Connection, name: str, alias: str) -> ModelNotFound:
        self._latest(connection, name)
        query = select(alias_moves.c.alias).where(alias_moves.c.name == name).distinct()
        known = sorted(connection.execute(query).scalars())
        hint = f"it has {', '.join(known)}" if known else "it has none"
        return ModelNotFound(
            "unknown_alias",
            f"{name} has no alias {alias!r} ({hint}); set one with `rowmill models alias {name}@1 {alias}`.",
        )


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sync(*paths: Path) -> None:
    """Make files and folder entries outlive a crash of the machine."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

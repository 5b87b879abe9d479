"""All versions of all models: added, found, loaded, pointed at. Each method is one transaction.

What the tables are asked stands in ``references`` and ``aliases``, what happens to files in ``folders``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from base.database import Database
from base.database.tables import versions
from base.files import make_folder
from models.adding import NewVersion, prepare
from models.errors import ModelError
from models.loading import LoadedModel, load
from models.manifest import Manifest
from models.names import check_name
from models.registry import aliases, references
from models.registry.aliases import Change
from models.registry.folders import Folders, sync

_TRIES = 10


class Registry:
    """All versions of all models. Holds nothing in memory: a version added elsewhere counts at once."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._folders = Folders(root)
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

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction after which nobody trusts what he remembers."""
        with self._database.writing() as connection:
            yield connection
        self._mark_change()

    def folder(self, name: str, version: int) -> Path:
        """Where the files of a version lie."""
        return self._folders.of(name, version)

    def add(self, new: NewVersion) -> Manifest:
        """Add a version of ``new.name``; on any error nothing is left behind.

        Raises ModelError ``invalid_name``, or what :func:`models.adding.prepare` refuses.
        """
        check_name(new.name)
        with self._folders.staging() as staging:
            draft = prepare(new, staging)
            sync(*staging.rglob("*"), staging)
            for _ in range(_TRIES):
                try:
                    return self._publish(draft, staging)
                except IntegrityError:
                    continue  # another process took the number
        raise ModelError("busy", f"Other versions of {new.name} are being added at once; try again.")

    def _publish(self, draft: Manifest, staging: Path) -> Manifest:
        with self._changing() as connection:
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
            self._folders.move_in(staging, manifest.name, manifest.version)
            return manifest

    def get(self, name: str, version: int) -> Manifest:
        """One version's manifest; ModelNotFound if there is none."""
        with self._database.reading() as connection:
            return references.get(connection, name, version)

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
            return not references.names(connection)

    def resolve(self, reference: str | None, default: str | None = None) -> Manifest:
        """The version that ``wine``, ``wine@3`` or ``wine@production`` means now.

        ``wine`` alone is the alias ``production`` if set, else the latest version. Without a reference:
        ``default``, else the only model there is. Raises ModelNotFound (``unknown_model``,
        ``unknown_version``, ``unknown_alias``) or ModelError (``invalid_reference``, ``model_required``,
        ``no_models``).
        """
        with self._database.reading() as connection:
            return references.resolve(connection, reference, default)

    def aliases(self) -> dict[str, dict[str, int]]:
        """Where every alias points now: ``{"wine": {"production": 3}}``."""
        with self._database.reading() as connection:
            return aliases.everywhere(connection)

    def set_alias(self, name: str, version: int, alias: str, moved_by: str, note: str | None = None) -> None:
        """Point ``alias`` at a version; earlier moves stay in the history."""
        with self._changing() as connection:
            change = Change(self._database.now(connection), moved_by, note)
            aliases.move(connection, name, alias, version, change)

    def alias_history(self, name: str, alias: str) -> Sequence[dict[str, Any]]:
        """Every move of an alias, oldest first: version, moved_at (seconds), moved_by, note."""
        with self._database.reading() as connection:
            return aliases.history(connection, name, alias)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

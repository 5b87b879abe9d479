"""All versions of all models: added, found, loaded, pointed at, retired. Each method is one transaction.

What the tables are asked and told stands in ``references``, ``aliases``, ``retiring`` and ``timeline``, what
happens to files in ``folders``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from base.database import Database
from base.database.tables import versions
from base.files import make_folder
from base.times import rfc3339
from models.adding import NewVersion, prepare
from models.errors import ModelError
from models.gate import Evaluation
from models.loading import LoadedModel, load
from models.manifest import Manifest
from models.names import check_name, parse
from models.registry import aliases, references, retiring, timeline, traffic
from models.registry.aliases import Change, Expected, Move
from models.registry.folders import Folders, sync
from models.registry.retiring import Retirement, Users
from models.registry.timeline import Event
from models.registry.traffic import Rollback
from models.routing import Route
from models.traffic import Traffic

_TRIES = 10
# What the tables have room for.
MAX_NOTE = 500
MAX_NAME = 128

log = structlog.get_logger()


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
        """One byte more: a size, unlike a time of change, tells apart two changes of the same moment.

        The change holds without it; what others remember is forgotten by itself, only later.
        """
        try:
            make_folder(self._root)
            with self._marks.open("ab") as marks:
                marks.write(b".")
        except OSError as error:
            log.warning("change not marked; running processes learn of it within seconds", reason=str(error))

    @contextmanager
    def _changing(self, name: str) -> Iterator[Connection]:
        """A transaction that has the model for itself; after it nobody trusts what he remembers."""
        with self._database.writing() as connection:
            aliases.lock(connection, name)
            yield connection
        self._mark_change()

    def folder(self, name: str, version: int) -> Path:
        """Where the files of a version lie."""
        return self._folders.of(name, version)

    def add(self, new: NewVersion, gate: Callable[[LoadedModel], Evaluation] | None = None) -> Manifest:
        """Add a version of ``new.name``; on any error nothing is left behind.

        But where the database cannot even be asked, its files are, until the next version is added.
        ``gate`` is given the version as it will be loaded, and raises if it is not good enough. Raises
        ModelError ``invalid_name``, or what :func:`models.adding.prepare` refuses.
        """
        check_name(new.name)
        with self._folders.staging() as staging:
            draft = prepare(new, staging)
            if gate is not None:
                draft = draft.model_copy(update={"evaluation": gate(load(draft, staging))})
            sync(*staging.rglob("*"), staging)
            for _ in range(_TRIES):
                try:
                    return self._publish(draft, staging)
                except IntegrityError:
                    continue  # another process took the number
        raise ModelError("busy", f"Other versions of {new.name} are being added at once; try again.")

    def _publish(self, draft: Manifest, staging: Path) -> Manifest:
        manifest = draft
        try:
            with self._changing(draft.name) as connection:
                newest = select(func.max(versions.c.version)).where(versions.c.name == draft.name)
                number = (connection.execute(newest).scalar() or 0) + 1
                now = self._database.now(connection)
                manifest = draft.model_copy(update={"version": number, "created_at": rfc3339(now)})
                # the row first: whoever holds its key is the only one who may touch the folder
                _insert(connection, manifest, now)
                self._folders.move_in(staging, manifest.name, manifest.version)
                return manifest
        except (SQLAlchemyError, OSError):
            if not staging.exists():
                self._take_back(manifest, staging)
            raise

    def _take_back(self, manifest: Manifest, staging: Path) -> None:
        """Move the files of a version out again whose commit failed, unless it came through all the same."""
        try:
            with self._database.writing() as connection:
                _insert(connection, manifest, 0.0)
                self._folders.move_out(manifest.name, manifest.version, staging)
                connection.rollback()
        except IntegrityError:
            pass  # there is a row: the files belong to it
        except (SQLAlchemyError, OSError) as error:
            log.warning(
                "files of a version that was not added stay", model=manifest.reference, reason=str(error)
            )

    def get(self, name: str, version: int) -> Manifest:
        """One version's manifest; ModelNotFound if there is none, or if it is retired."""
        with self._database.reading() as connection:
            return references.get(connection, name, version)

    def recorded(self, name: str, version: int) -> Manifest:
        """The same of a version that may be retired: what old jobs refer to."""
        with self._database.reading() as connection:
            return references.recorded(connection, name, version)

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

    def route(self, reference: str | None, default: str | None = None) -> Route:
        """As :meth:`resolve`, with the versions that an alias's single predictions are spread over."""
        with self._database.reading() as connection:
            return traffic.route(connection, reference, default)

    def recall(self, reference: str) -> Manifest:
        """As :meth:`resolve`, but a version that is named by its number may be retired."""
        name, version, _ = parse(reference)
        return self.resolve(reference) if version is None else self.recorded(name, version)

    def aliases(self) -> dict[str, dict[str, int]]:
        """Where every alias points now: ``{"wine": {"production": 3}}``."""
        with self._database.reading() as connection:
            return aliases.everywhere(connection)

    def set_alias(
        self,
        name: str,
        version: int,
        alias: str,
        by: str,
        note: str | None = None,
        *,
        expected: Expected | None = None,
    ) -> Move:
        """Point ``alias`` at a version; earlier moves stay in the history.

        ``expected``: only if it points there now, here and below. Raises ModelError ``alias_moved`` if not.
        """
        with self._changing(name) as connection:
            aliases.check_place(connection, name, alias, expected)
            return aliases.move(connection, name, alias, version, self._change(connection, by, note))

    def drop_alias(
        self, name: str, alias: str, by: str, note: str | None = None, *, expected: Expected | None = None
    ) -> Move:
        """Let ``alias`` point nowhere. Raises ModelNotFound ``unknown_alias`` if it does already."""
        with self._changing(name) as connection:
            aliases.check_place(connection, name, alias, expected)
            return aliases.drop(connection, name, alias, self._change(connection, by, note))

    def roll_back(
        self, name: str, alias: str, by: str, note: str | None = None, *, expected: Expected | None = None
    ) -> Rollback:
        """Let ``alias`` point where it did before its last move; once more: before the one before that.

        The split and the shadow that it had there come back too. Raises ModelNotFound ``unknown_alias``, or
        ModelError ``nothing_before``.
        """
        with self._changing(name) as connection:
            aliases.check_place(connection, name, alias, expected)
            return traffic.roll_back(connection, name, alias, self._change(connection, by, note))

    def traffic(self) -> dict[str, dict[str, Traffic]]:
        """How the single predictions of each alias are spread that is split or shadowed, by model."""
        with self._database.reading() as connection:
            return traffic.everywhere(connection)

    def split(self, name: str, alias: str, wanted: Traffic, by: str, note: str | None = None) -> Traffic:
        """Spread the single predictions of ``alias`` over arms, until it is moved; raises ModelError."""
        with self._changing(name) as connection:
            change = self._change(connection, by, note)
            return traffic.split(connection, name, alias, wanted, change)

    def end_split(self, name: str, alias: str, by: str, note: str | None = None) -> Traffic:
        """Let the version that ``alias`` points at answer everything. Raises ModelError ``no_split``."""
        with self._changing(name) as connection:
            return traffic.end_split(connection, name, alias, self._change(connection, by, note))

    def shadow(self, name: str, alias: str, version: int, by: str, note: str | None = None) -> Traffic:
        """Let a challenger score copies of what ``alias`` answers, until it is moved; raises ModelError."""
        with self._changing(name) as connection:
            return traffic.shadow(connection, name, alias, version, self._change(connection, by, note))

    def end_shadow(self, name: str, alias: str, by: str, note: str | None = None) -> Traffic:
        """Let nobody score copies any more. Raises ModelError ``no_shadow``."""
        with self._changing(name) as connection:
            return traffic.end_shadow(connection, name, alias, self._change(connection, by, note))

    def retire(self, name: str, version: int, users: Users, by: str, note: str | None = None) -> None:
        """Take a version out of use: requests for it are refused from now on, and jobs too.

        ``users`` says who else needs it, and is asked while nobody can begin to. Raises ModelNotFound, or
        ModelError ``in_use`` with all that must be moved, or must end, before.
        """
        with self._changing(name) as connection:
            retiring.retire(connection, name, version, self._change(connection, by, note), users)

    def remove(self, name: str, version: int, by: str) -> None:
        """Remove the files of a retired version; what is known about it stays.

        Done again after it was killed, it removes what is left. Raises ModelNotFound, or ModelError
        ``not_retired``.
        """
        with self._changing(name) as connection:
            retiring.remove(connection, name, version, self._change(connection, by))
        self._folders.remove(name, version)

    def retirement(self, name: str, version: int) -> Retirement | None:
        """When, by whom and why a version was retired and removed; None for one in use."""
        with self._database.reading() as connection:
            return retiring.of(connection, name, version)

    def history(self, name: str, alias: str | None = None) -> Sequence[Event]:
        """All that happened to a model, or the moves of one alias, oldest first.

        Raises ModelNotFound for a model or an alias that never was.
        """
        with self._database.reading() as connection:
            return timeline.events(connection, name, alias)

    def _change(self, connection: Connection, by: str, note: str | None = None) -> Change:
        if note is not None and len(note) > MAX_NOTE:
            raise ModelError(
                "invalid_note", f"A note has {MAX_NOTE} characters at most; this has {len(note)}."
            )
        return Change(self._database.now(connection), by[:MAX_NAME], note)


def _insert(connection: Connection, manifest: Manifest, created_at: float) -> None:
    row = {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": manifest.sha256,
        "created_at": created_at,
        "manifest": manifest.model_dump(mode="json"),
    }
    connection.execute(insert(versions).values(row))

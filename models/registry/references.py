"""What a reference means: questions to versions and aliases, and what to say where there is none.

Everything here reads, within a transaction that somebody else opened.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from base.database.tables import alias_moves, versions
from models.errors import ModelError, ModelNotFound
from models.manifest import Manifest
from models.names import parse

PRODUCTION = "production"


def resolve(connection: Connection, reference: str | None, default: str | None) -> Manifest:
    """The version that ``wine``, ``wine@3`` or ``wine@production`` means now; raises as the registry says."""
    name, version, alias = parse(reference or default or _only_name(connection))
    if version is None and alias is not None:
        version = aliased(connection, name, alias)
        if version is None:
            raise unknown_alias(connection, name, alias)
    if version is None:
        version = aliased(connection, name, PRODUCTION) or latest(connection, name)
    return get(connection, name, version)


def get(connection: Connection, name: str, version: int) -> Manifest:
    """One version's manifest; ModelNotFound if there is none, or if it is retired."""
    row = _row(connection, name, version)
    if row.retired_at is not None:
        day = datetime.fromtimestamp(row.retired_at, UTC).date()
        newest = _newest(connection, name)
        hint = "" if newest is None else f"; the latest is {name}@{newest}"
        raise ModelNotFound("version_retired", f"{name}@{version} was retired on {day}{hint}.")
    return Manifest.model_validate(row.manifest)


def recorded(connection: Connection, name: str, version: int) -> Manifest:
    """One version's manifest, whether it is retired or not; ModelNotFound if it never was."""
    return Manifest.model_validate(_row(connection, name, version).manifest)


def _row(connection: Connection, name: str, version: int) -> Row[Any]:
    query = select(versions).where(versions.c.name == name, versions.c.version == version)
    row = connection.execute(query).first()
    if row is None:
        newest = latest(connection, name)
        raise ModelNotFound(
            "unknown_version", f"{name} has no version {version}; the latest is {name}@{newest}."
        )
    return row


def latest(connection: Connection, name: str) -> int:
    """The highest version that is not retired; ModelNotFound if there is no model of that name."""
    found = _newest(connection, name)
    if found is None:
        raise _unknown_model(connection, name)
    return found


def _newest(connection: Connection, name: str) -> int | None:
    query = select(func.max(versions.c.version)).where(
        versions.c.name == name, versions.c.retired_at.is_(None)
    )
    found: int | None = connection.execute(query).scalar()
    return found


def aliased(connection: Connection, name: str, alias: str) -> int | None:
    """The version that an alias points at now, if any."""
    query = (
        select(alias_moves.c.version)
        .where(alias_moves.c.name == name, alias_moves.c.alias == alias)
        .order_by(alias_moves.c.id.desc())
        .limit(1)
    )
    version: int | None = connection.execute(query).scalar()
    return version


def names(connection: Connection) -> Sequence[str]:
    """The names of all models that have a version."""
    query = select(versions.c.name).where(versions.c.retired_at.is_(None)).distinct()
    return sorted(connection.execute(query).scalars())


def _only_name(connection: Connection) -> str:
    known = names(connection)
    if len(known) == 1:
        return known[0]
    if not known:
        raise ModelError("no_models", "There is no model yet: add one with `rowmill models add NAME FILE`.")
    raise ModelError("model_required", f"Say which model: {', '.join(known)} (or set ROWMILL_DEFAULT_MODEL).")


def _unknown_model(connection: Connection, name: str) -> ModelNotFound:
    known = names(connection)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif known:
        hint = f"there are {', '.join(known[:20])}."
    else:
        hint = "there is none yet; add one with `rowmill models add NAME FILE`."
    return ModelNotFound("unknown_model", f"There is no model {name!r}; {hint}")


def unknown_alias(connection: Connection, name: str, alias: str) -> ModelNotFound:
    """The refusal of an alias that points nowhere; of an unknown model, where that is what is wrong."""
    newest = latest(connection, name)
    query = select(alias_moves.c.alias).where(alias_moves.c.name == name).distinct()
    seen = connection.execute(query).scalars().all()
    known = sorted(each for each in seen if aliased(connection, name, each) is not None)
    hint = f"it has {', '.join(known)}" if known else "it has none"
    command = f"rowmill models alias {name}@{newest} {alias}"
    return ModelNotFound(
        "unknown_alias", f"{name} has no alias {alias!r} ({hint}); set one with `{command}`."
    )

"""Splits and shadows of aliases: rows that are never changed, the newest one counts.

A row belongs to one move of its alias and ends with it: whoever moves or drops an alias means all of its
requests. A rollback takes a move back with all that it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, insert, select

from base.database.tables import alias_moves, alias_traffic
from models.errors import ModelError, ModelNotFound
from models.names import parse
from models.registry import aliases, references
from models.registry.aliases import Change, Move
from models.registry.references import PRODUCTION
from models.routing import Route
from models.traffic import Traffic, champion, check_alike, check_arms


@dataclass(frozen=True)
class TrafficChange:
    """An alias's requests were spread in another way."""

    alias: str
    version: int | None
    traffic: Traffic
    change: Change


@dataclass(frozen=True)
class Rollback(Move):
    """A move back, and the traffic that came back with it, but for what needs the versions ``retired``."""

    traffic: Traffic
    retired: tuple[int, ...]


def route(connection: Connection, reference: str | None, default: str | None) -> Route:
    """What a reference means now, and how its requests are spread; raises as ``references.resolve``."""
    manifest = references.resolve(connection, reference, default)
    _, version, alias = parse(reference or default or manifest.name)
    if version is not None:
        return Route(manifest)
    alias = alias or PRODUCTION
    traffic = of(connection, manifest.name, alias)
    if not traffic:
        return Route(manifest)
    found = {version: references.get(connection, manifest.name, version) for version in traffic.versions}
    return Route(
        manifest=manifest,
        alias=f"{manifest.name}@{alias}",
        traffic=traffic,
        arms=tuple(found[arm.version] for arm in traffic.arms),
        shadow=None if traffic.shadow is None else found[traffic.shadow],
    )


def of(connection: Connection, name: str, alias: str) -> Traffic:
    """How the requests of an alias are spread now; nothing if they are not."""
    return _under(connection, _newest_move(connection, name, alias))


def everywhere(connection: Connection) -> dict[str, dict[str, Traffic]]:
    """The traffic of each alias that is split or shadowed now, by model."""
    newest = select(func.max(alias_moves.c.id)).group_by(alias_moves.c.name, alias_moves.c.alias)
    query = (
        select(alias_moves.c.name, alias_moves.c.alias, alias_traffic.c.traffic)
        .join(alias_traffic, alias_traffic.c.move_id == alias_moves.c.id)
        .where(alias_moves.c.id.in_(newest))
        .order_by(alias_traffic.c.id)
    )
    found: dict[str, dict[str, Traffic]] = {}
    for row in connection.execute(query):
        found.setdefault(row.name, {})[row.alias] = Traffic.from_document(row.traffic)
    return {name: {alias: each for alias, each in of.items() if each} for name, of in found.items()}


def split(connection: Connection, name: str, alias: str, wanted: Traffic, change: Change) -> Traffic:
    """Spread the requests of an alias over arms; the alias itself points at the one with most.

    A shadow stays, unless it is an arm now, or the alias points at another version than before.

    Raises ModelError ``invalid_split``, ``not_alike``, ``unknown_column``, or ModelNotFound.
    """
    arms, sticky_by = wanted.arms, wanted.sticky_by
    check_arms(arms)
    manifests = [references.get(connection, name, arm.version) for arm in arms]
    for other in manifests[1:]:
        check_alike(manifests[0], other)
    if sticky_by is not None and sticky_by not in manifests[0].signature.names:
        raise ModelError(
            "unknown_column",
            f"{manifests[0].reference} has no column {sticky_by!r}. A key that is no column of the model is "
            "sent as the header X-Rowmill-Key, without --sticky-by.",
        )
    first = champion(arms).version
    if references.aliased(connection, name, alias) != first:
        aliases.move(connection, name, alias, first, change)
    before = of(connection, name, alias)
    shadow = None if before.shadow in {arm.version for arm in arms} else before.shadow
    return _put(connection, name, alias, Traffic(arms, sticky_by, shadow), change)


def shadow(connection: Connection, name: str, alias: str, version: int, change: Change) -> Traffic:
    """Let a challenger score copies of what the alias's version answers.

    Raises ModelError ``invalid_shadow`` if it answers requests itself, ``not_alike``, or ModelNotFound.
    """
    before = of(connection, name, alias)
    current = _pointed_at(connection, name, alias)
    if version == current or version in {arm.version for arm in before.arms}:
        advice = "end the split first (--off)" if before.arms else "name another version"
        raise ModelError(
            "invalid_shadow", f"{name}@{version} answers requests to {name}@{alias} already; {advice}."
        )
    check_alike(references.get(connection, name, current), references.get(connection, name, version))
    return _put(connection, name, alias, replace(before, shadow=version), change)


def roll_back(connection: Connection, name: str, alias: str, change: Change) -> Rollback:
    """Point an alias where it pointed before, and spread its requests as it was done there last.

    A split or shadow that needs a version which is retired by now does not come back. Raises as
    :func:`aliases.roll_back`.
    """
    move, back_to = aliases.roll_back(connection, name, alias, change)
    before = _under(connection, back_to.id)
    retired = {version for version in before.versions if not _is_in_use(connection, name, version)}
    arms = before.arms if retired.isdisjoint(arm.version for arm in before.arms) else ()
    shadow = None if before.shadow in retired else before.shadow
    again = Traffic(arms, before.sticky_by if arms else None, shadow)
    if again:
        _put(connection, name, alias, again, change)
    return Rollback(**vars(move), traffic=again, retired=tuple(sorted(retired)))


def end_split(connection: Connection, name: str, alias: str, change: Change) -> Traffic:
    """Let the alias's version answer everything again. Raises ModelError ``no_split``."""
    before = of(connection, name, alias)
    if not before.arms:
        _pointed_at(connection, name, alias)
        raise ModelError("no_split", f"{name}@{alias} is not split.")
    return _put(connection, name, alias, Traffic(shadow=before.shadow), change)


def end_shadow(connection: Connection, name: str, alias: str, change: Change) -> Traffic:
    """Let nobody score copies any more. Raises ModelError ``no_shadow``."""
    before = of(connection, name, alias)
    if before.shadow is None:
        _pointed_at(connection, name, alias)
        raise ModelError("no_shadow", f"{name}@{alias} has no shadow.")
    return _put(connection, name, alias, replace(before, shadow=None), change)


def using(connection: Connection, name: str, version: int) -> Iterator[str]:
    """What sends requests to a version besides an alias that points at it: one sentence each."""
    for alias, traffic in everywhere(connection).get(name, {}).items():
        if version == traffic.shadow:
            yield f"it is the shadow of {name}@{alias}"
        elif version in traffic.versions:
            yield f"{name}@{alias} is split, and it is one of the arms"


def history(connection: Connection, name: str, alias: str | None = None) -> Iterator[TrafficChange]:
    """Every change of one alias, or of all aliases of a model, oldest first."""
    query = (
        select(alias_traffic, alias_moves.c.alias, alias_moves.c.version)
        .join(alias_moves, alias_moves.c.id == alias_traffic.c.move_id)
        .where(alias_moves.c.name == name)
        .order_by(alias_traffic.c.id)
    )
    if alias is not None:
        query = query.where(alias_moves.c.alias == alias)
    for row in connection.execute(query):
        change = Change(row.changed_at, row.changed_by, row.note)
        yield TrafficChange(row.alias, row.version, Traffic.from_document(row.traffic), change)


def _pointed_at(connection: Connection, name: str, alias: str) -> int:
    version = references.aliased(connection, name, alias)
    if version is None:
        raise references.unknown_alias(connection, name, alias)
    return version


def _is_in_use(connection: Connection, name: str, version: int) -> bool:
    try:
        references.get(connection, name, version)
    except ModelNotFound:
        return False
    return True


def _under(connection: Connection, move_id: int | None) -> Traffic:
    """How requests were spread last while this move of an alias counted."""
    query = (
        select(alias_traffic.c.traffic)
        .where(alias_traffic.c.move_id == move_id)
        .order_by(alias_traffic.c.id.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    return Traffic() if found is None else Traffic.from_document(found)


def _newest_move(connection: Connection, name: str, alias: str) -> int | None:
    query = (
        select(alias_moves.c.id)
        .where(alias_moves.c.name == name, alias_moves.c.alias == alias)
        .order_by(alias_moves.c.id.desc())
        .limit(1)
    )
    found: int | None = connection.execute(query).scalar()
    return found


def _put(connection: Connection, name: str, alias: str, traffic: Traffic, change: Change) -> Traffic:
    connection.execute(
        insert(alias_traffic).values(
            move_id=_newest_move(connection, name, alias),
            traffic=traffic.document(),
            changed_at=change.at,
            changed_by=change.by,
            note=change.note,
        )
    )
    return traffic

"""Do the names of the columns that came in fit a model's signature? What they hold is for ``rules``."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.manifest import Signature


@dataclass(frozen=True)
class ColumnProblem:
    """One reason why columns do not fit: ``missing_column``, ``duplicate_column`` or ``column_count``."""

    code: str
    column: str | None
    message: str
    nearest: str | None = None


@dataclass(frozen=True)
class Match:
    """``positions[i]`` is where the signature's column i stands among the names; empty if there are problems.

    ``extra`` are given names that the model does not use.
    """

    positions: tuple[int, ...]
    by: Literal["name", "position"]
    extra: tuple[str, ...]
    problems: tuple[ColumnProblem, ...]


def match_columns(signature: Signature, names: Sequence[str], *, headerless: bool = False) -> Match:
    """Find the signature's columns among ``names``.

    By name, in any order, extra columns allowed. By position where the file has no header, or where the
    estimator was fitted without names and none of the names given is known; then the count must be the same.
    """
    wanted = signature.names
    # a file with several columns does not say which of them are the texts
    nameless = not signature.named and (signature.kind != "text" or len(names) == 1)
    if headerless or (nameless and not set(wanted) & set(names)):
        return _by_position(wanted, names)
    problems = [_duplicate(name) for name in wanted if Counter(names)[name] > 1]
    problems += [_missing(name, wanted, names) for name in wanted if name not in set(names)]
    if problems:
        return Match((), "name", (), tuple(problems))
    places = {name: position for position, name in enumerate(names)}
    extra = tuple(name for name in names if name not in set(wanted))
    return Match(tuple(places[name] for name in wanted), "name", extra, ())


def _by_position(wanted: Sequence[str], names: Sequence[str]) -> Match:
    if len(names) == len(wanted):
        return Match(tuple(range(len(wanted))), "position", (), ())
    problem = ColumnProblem(
        "column_count",
        None,
        f"The model takes {len(wanted)} columns ({_listed(wanted)}), the input has {len(names)} "
        f"({_listed(names)}), and none has a name that the model knows.",
    )
    return Match((), "position", (), (problem,))


def _missing(name: str, wanted: Sequence[str], names: Sequence[str]) -> ColumnProblem:
    free = [other for other in names if other not in set(wanted)]
    near = difflib.get_close_matches(name, free, 1, 0.75) or [
        other for other in free if other.strip().casefold() == name.strip().casefold()
    ]
    hint = f"; the nearest is {near[0]!r}, rename it" if near else f"; it has {_listed(names)}"
    return ColumnProblem(
        "missing_column", name, f"The input has no column {name!r}{hint}.", near[0] if near else None
    )


def _duplicate(name: str) -> ColumnProblem:
    return ColumnProblem(
        "duplicate_column", name, f"The input has more than one column {name!r}; keep one of them."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")

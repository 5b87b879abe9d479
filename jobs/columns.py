"""How the columns of a file map to those of a model and of the result; what does not fit is said at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from base.formats import ChunkRows, InputShape, Wanted
from jobs.errors import Problem
from jobs.scoring import ERROR_FIELD
from models.manifest import Manifest, output_schema
from models.signature import Match, match_columns

# Problems that the sentence for people names; the list for programs has them all.
MAX_SAID = 5
# What a column of a typed file may be for each kind that a model wants.
FITTING = {
    "number": {"number", "boolean", "unknown"},
    "string": {"string", "unknown"},
    "boolean": {"boolean", "unknown"},
}


@dataclass(frozen=True)
class Columns:
    """Positions in the file of what is read: the model's columns, then the kept ones."""

    wanted: tuple[Wanted, ...]
    keep: tuple[int, ...]
    keep_names: list[str]
    notes: list[str]


def match(manifest: Manifest, shape: InputShape, keep: Sequence[str], outputs: Sequence[str]) -> Columns:
    """Find the model's columns and the kept ones in the file.

    Raises ``Problem`` with one entry for each missing, mistyped, unknown or colliding column.
    """
    if shape.is_archive != (manifest.signature.kind == "image"):
        raise _wrong_kind(manifest, shape)
    kept = _kept(manifest, shape, keep, outputs)
    if shape.is_archive:
        return Columns((), (0,), ["file"], [])
    names = [column.name for column in shape.columns]
    matched = match_columns(
        manifest.signature, names, headerless=shape.format == "csv" and not shape.csv.header
    )
    if matched.problems:
        errors = [{"code": p.code, "column": p.column, "detail": p.message} for p in matched.problems]
        said = " ".join(problem.message for problem in matched.problems[:MAX_SAID])
        more = len(errors) - MAX_SAID
        said += f" {more} more are listed under errors." if more > 0 else ""
        if shape.format == "csv" and shape.csv.header and all(_is_number(name) for name in names if name):
            said += " The first row looks like data; if the file has no header, send header=none."
        raise Problem(errors[0]["code"] or "", f"The file does not fit {manifest.reference}. {said}", errors)
    wanted = tuple(
        Wanted(spec.name, position, spec.kind)
        for spec, position in zip(manifest.signature.columns, matched.positions, strict=True)
    )
    if shape.format == "parquet":
        _refuse_types(manifest, shape, wanted)
    notes = _notes(manifest, shape, matched, kept)
    return Columns(wanted, tuple(names.index(name) for name in kept), kept, notes)


def _notes(manifest: Manifest, shape: InputShape, matched: Match, kept: Sequence[str]) -> list[str]:
    notes = []
    if matched.by == "position" and manifest.signature.kind == "text":
        notes.append(_taken_as_texts(shape))
    elif matched.by == "position":
        notes.append("Columns were matched by position, because their names are not those of the model.")
    if unused := [name for name in matched.extra if name not in kept]:
        shown = ", ".join(unused[:20]) + (", …" if len(unused) > 20 else "")
        notes.append(f"Columns that are neither used by the model nor kept: {shown}.")
    return notes


def _taken_as_texts(shape: InputShape) -> str:
    """Of a file with one column: what became of its header, which may have been a text."""
    if shape.format == "csv" and not shape.csv.header:
        return "The one column was taken as the texts."
    note = f"The one column, {shape.columns[0].name[:80]!r}, was taken as the texts."
    if shape.format == "csv":
        note += " If that is a text itself, the file has no header: send header=none."
    return note


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+([.,][0-9]*)?([eE][+-]?[0-9]+)?", text.strip()) is not None


def _wrong_kind(manifest: Manifest, shape: InputShape) -> Problem:
    takes = {
        "image": "an image set (a zip or tar of images)",
        "text": "a table with a column of texts",
        "table": "a table",
    }[manifest.signature.kind]
    return Problem(
        "wrong_input_kind",
        f"{manifest.reference} takes {takes}; the file is {shape.format}. "
        "Send another file, or name another model.",
    )


def _kept(manifest: Manifest, shape: InputShape, keep: Sequence[str], outputs: Sequence[str]) -> list[str]:
    names = [column.name for column in shape.columns]
    kept = names if list(keep) == ["*"] or shape.is_archive else list(dict.fromkeys(keep))
    made = set(output_schema(manifest, "confidence" in outputs).names) | {ERROR_FIELD.name}
    errors = []
    for name in kept:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f" Did you mean '{near[0]}'?" if near else f" The file has: {', '.join(names)[:500]}."
            errors.append(
                {"code": "unknown_column", "column": name, "detail": f"keep: no column '{name}'.{hint}"}
            )
        elif name in made:
            detail = f"keep: the result has a column '{name}' of its own; rename yours in the file."
            errors.append({"code": "column_collides", "column": name, "detail": detail})
        elif shape.format == "parquet" and shape.columns[names.index(name)].kind == "nested":
            detail = f"keep: column '{name}' is nested; only plain columns can be kept."
            errors.append({"code": "nested_column", "column": name, "detail": detail})
    if errors:
        raise Problem(errors[0]["code"], " ".join(error["detail"] for error in errors), errors)
    return kept


def _refuse_types(manifest: Manifest, shape: InputShape, wanted: Sequence[Wanted]) -> None:
    """A typed file says what its columns are; one of the wrong type cannot have a single good row."""
    errors = [
        _mistyped(want, f"is {shape.columns[want.position].arrow}")
        for want in wanted
        if shape.columns[want.position].kind not in FITTING[want.kind]
    ]
    _raise_mistyped(manifest, errors)


def refuse_mistyped(manifest: Manifest, columns: Columns, head: ChunkRows) -> None:
    """Refuse a text file whose first rows have no value of a column of the type that the model takes.

    One value that fits is enough: the others are row errors.
    """
    _raise_mistyped(manifest, mistyped(columns, head, "send decimal=,"))


def mistyped(columns: Columns, head: ChunkRows, decimal_comma: str) -> list[dict[str, Any]]:
    """What :func:`refuse_mistyped` refuses; ``decimal_comma`` is what to do if the file has such numbers."""
    errors = []
    for want in columns.wanted:
        bad = [
            p for p in head.problems if p.column == want.name and p.code in ("not_a_number", "not_a_boolean")
        ]
        if bad and not _any_valid(head.columns.column(want.name)):
            found = f"holds {bad[0].value!r} and no value that fits in the first rows"
            if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", bad[0].value or ""):
                found += f" (if the comma is the decimal mark, {decimal_comma})"
            errors.append(_mistyped(want, found))
    return errors


def _any_valid(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.is_valid(column)).as_py())


def _mistyped(want: Wanted, found: str) -> dict[str, Any]:
    detail = f"Column '{want.name}' must be a {want.kind}, but {found}."
    return {"code": "mistyped_column", "column": want.name, "detail": detail}


def _raise_mistyped(manifest: Manifest, errors: list[dict[str, Any]]) -> None:
    if errors:
        text = " ".join(error["detail"] for error in errors)
        advice = f"GET /models/{manifest.reference} shows the columns that it takes."
        raise Problem("mistyped_column", f"{text} {advice}", errors)

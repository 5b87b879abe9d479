"""A labelled file, scored as a job would score it, but here and now.

Rows are read and scored a chunk at a time and forgotten once they are counted, so memory does not grow with
the file. Labels are a column of a table, or the folders of an image set (``cat/001.png``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from base import formats
from base.formats import (
    CsvOptions,
    InputRefused,
    InputShape,
    decode,
    plan,
    plan_members,
    read,
    read_members,
    sniff,
    write_index,
)
from base.settings import Settings
from jobs.columns import Columns, match, mistyped
from jobs.errors import Problem
from jobs.head import HEAD_ROWS
from jobs.planning import rows_for
from jobs.rows import score_images, score_table, scorer_of
from models.errors import ModelError
from models.loading import LoadedModel
from models.manifest import Manifest

# Answers, and the labels of the same rows.
Scored = tuple[pa.Table, pa.ChunkedArray]


@dataclass(frozen=True)
class Holdout:
    """An open one. ``path`` is decoded, ``index`` that of an archive's members."""

    path: Path
    index: Path
    shape: InputShape
    target: str | None
    settings: Settings

    def chunk_rows(self, *manifests: Manifest) -> int:
        """Rows that none of these models takes too long for."""
        return min(rows_for(manifest, self.shape, self.settings.chunk_seconds) for manifest in manifests)

    def scored(self, model: LoadedModel, chunk_rows: int) -> Iterator[Scored]:
        """Answers and labels of all rows, a chunk at a time; the chunks are the same for every model."""
        return (self._images if self.shape.is_archive else self._table)(model, chunk_rows)

    def _table(self, model: LoadedModel, chunk_rows: int) -> Iterator[Scored]:
        manifest, scorer = model.manifest, scorer_of(model, ())
        label = self._position_of_labels()
        columns = self._columns(manifest, label)
        self._refuse_mistyped(columns)
        limit = self.settings.max_chunk_bytes
        for span in plan(self.path, self.shape, chunk_rows=chunk_rows, max_chunk_bytes=limit):
            chunk = read(self.path, self.shape, span, columns.wanted, columns.keep)
            scored = score_table(scorer, manifest, chunk, _never_stops)
            yield scored.table.remove_column(0), scored.table.column(0)  # the label is the one that was kept

    def _position_of_labels(self) -> int:
        names = [column.name for column in self.shape.columns]
        if self.target not in names:
            said = f"--target {self.target}:" if self.target else "Name the labels with --target COLUMN:"
            has = f"the holdout has the columns {', '.join(names)}"
            raise ModelError("unknown_target", f"{said} {has}.")
        return names.index(self.target)

    def _columns(self, manifest: Manifest, label: int) -> Columns:
        """The model's columns, found as if there were no labels: without names their number counts."""
        columns = self.shape.columns
        found = match(
            manifest, replace(self.shape, columns=(*columns[:label], *columns[label + 1 :])), (), ()
        )
        wanted = tuple(replace(w, position=w.position + (w.position >= label)) for w in found.wanted)
        return replace(found, wanted=wanted, keep=(label,))

    def _refuse_mistyped(self, columns: Columns) -> None:
        """As a job's file is refused: that no row of it can be scored says nothing about the model."""
        if self.shape.format not in ("csv", "jsonl"):
            return  # columns of a typed file are refused where they are matched
        span = formats.head(self.path, self.shape, HEAD_ROWS)
        head = formats.read_head(self.path, self.shape, span, columns.wanted, columns.keep)
        if errors := mistyped(columns, head, "save the holdout as Parquet"):
            raise Problem("mistyped_column", " ".join(error["detail"] for error in errors), errors)

    def _images(self, model: LoadedModel, chunk_rows: int) -> Iterator[Scored]:
        manifest, scorer = model.manifest, scorer_of(model, ())
        match(manifest, self.shape, (), ())
        for span in plan_members(self.index, chunk_rows, self.settings.max_chunk_bytes):
            members = read_members(self.path, self.index, span)
            scored = score_images(scorer, manifest, members, _never_stops)
            folders = [PurePosixPath(name).parent.name for name in scored.table.column("file").to_pylist()]
            yield scored.table, pa.chunked_array([pa.array(folders, pa.string())])


@contextmanager
def opened(file: Path, target: str | None, settings: Settings) -> Iterator[Holdout]:
    """``file``, with its labels in the column ``target``.

    Raises ModelError for what is wrong with it, also if that is found within the block.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            shape = sniff(file, CsvOptions(), max_decoded_bytes=settings.max_decoded_bytes)
            path, index = _decoded(file, Path(folder), shape, settings), Path(folder) / "members"
            if shape.is_archive:
                write_index(path, shape, index, _never_stops)
            yield Holdout(path, index, shape, target, settings)
    except (InputRefused, Problem) as refused:
        message = f"The holdout {file.name} cannot be used. {refused.message}"
        raise ModelError(refused.code, message) from refused
    except OSError as error:
        raise ModelError("bad_holdout", f"The holdout {file} cannot be read: {error.strerror}.") from error


def _decoded(file: Path, folder: Path, shape: InputShape, settings: Settings) -> Path:
    if not shape.needs_decoding:
        return file
    path = folder / "decoded"
    with path.open("wb") as out:
        decode(file, out, shape, max_decoded_bytes=settings.max_decoded_bytes)
    return path


def _never_stops() -> None:
    """No lease is held that could be lost."""

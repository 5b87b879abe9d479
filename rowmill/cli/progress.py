"""Progress for whoever watches: a bar on a terminal, a line every few seconds elsewhere. Always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from rowmill.cli import texts
from rowmill.cli.exits import say
from rowmill.client import JobResource

SECONDS_BETWEEN_LINES = 5.0

Show = Callable[[str, int, int | None, str], None]


class Report:
    """The three stages of a job for its sender, each shown as name, done, total and a note."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def sent(self, count: int, total: int | None) -> None:
        """Bytes uploaded."""
        self._show("uploading", count, total, _bytes(count, total))

    def scored(self, job: JobResource) -> None:
        """A new version of the job."""
        self._show(job["status"], job["rows"]["done"], job["rows"]["total"], texts.progress(job))

    def received(self, count: int, total: int | None) -> None:
        """Bytes of the result downloaded."""
        self._show("downloading", count, total, _bytes(count, total))


@contextmanager
def reporting() -> Iterator[Report]:
    """A report that shows itself until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Report(_lines())
        return
    columns = (
        TextColumn("{task.description:<11}", markup=False),
        BarColumn(table_column=Column(min_width=12)),
        TextColumn(
            "{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
        ),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", visible=False, note="")
        yield Report(
            lambda stage, done, total, note: bar.update(
                task, description=stage, completed=done, total=total, note=note, visible=True
            )
        )


def _lines() -> Show:
    last = time.monotonic()

    def show(stage: str, done: int, total: int | None, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            share = f"{done / total:.0%} · " if total else ""
            say(f"{stage}: {share}{note}")

    return show


def _bytes(count: int, total: int | None) -> str:
    return texts.size(count) + (f" of {texts.size(total)}" if total is not None else "")

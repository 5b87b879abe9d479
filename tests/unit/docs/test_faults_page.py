"""docs/faults.md names tests that exist, for faults that are numbered without a gap."""

from __future__ import annotations

import ast
import re

from tests.unit.docs.test_links import ROOT

PAGE = ROOT / "docs" / "faults.md"
ROW = re.compile(r"^\| F(\d+) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
COLUMNS = 3


def rows() -> dict[int, list[str]]:
    """The columns behind the number, by number."""
    found = ROW.findall(PAGE.read_text())
    return {int(number): [cell.strip() for cell in line.split(" | ")] for number, line in found}


def functions(file: str) -> set[str]:
    """The functions of a file of tests; none if there is no such file."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_no_fault_is_left_out() -> None:
    assert list(rows()) == list(range(1, max(rows()) + 1))


def test_each_fault_says_what_happens_what_is_done_and_what_shows_it() -> None:
    incomplete = [number for number, cells in rows().items() if len(cells) != COLUMNS or not all(cells)]
    assert not incomplete
    assert not [number for number, cells in rows().items() if not TEST.search(cells[-1])]


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE.read_text())
    assert not [f"{file}::{name}" for file, name in named if name not in functions(file)]

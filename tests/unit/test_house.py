"""Rules of the house that no linter checks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "base", "jobs", "models", "rowmill", "workers")
# The settings read the environment; the launcher hands it on to its children.
MAY_SEE_THE_ENVIRONMENT = {"base/settings.py", "rowmill/stack/programs.py"}

SOURCES = [
    ROOT / "celeryconfig.py",
    *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))),
]


def test_the_rooms_are_found() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == {*ROOMS, "celeryconfig.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if str(path.relative_to(ROOT)) in MAY_SEE_THE_ENVIRONMENT:
        return
    tree = ast.walk(ast.parse(path.read_text()))
    used = {ast.unparse(node) for node in tree if isinstance(node, (ast.Attribute, ast.ImportFrom))}
    assert not used & {"os.environ", "os.environb", "os.getenv"}
    assert not any(text.startswith("from os import") for text in used), (
        "say os.name, so that this test sees it"
    )


# Celery's ways of promising something for later, or of remembering: each loses or doubles work on Redis.
LATER = {"countdown", "eta", "expires"}
PROMISES = {"AsyncResult", "apply_async", "chain", "chord", "chunks", "delay", "group", "retry", "revoke"}


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "celery" in path.read_text()], ids=lambda path: path.stem
)
def test_celery_promises_nothing(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    assert not LATER & {node.arg for node in nodes if isinstance(node, ast.keyword)}
    assert not PROMISES & {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not PROMISES & imported
    assert not {"result_backend", "beat_schedule"} & {node.id for node in nodes if isinstance(node, ast.Name)}

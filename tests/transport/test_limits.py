"""What the settings promise each other, and where command lines repeat them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from workers import app, tasks

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "celeryconfig.py"
RESERVE_SECONDS = 600  # between the end of a task that ran as long as it may, and its second delivery
FLAGS = {"--without-mingle", "--without-gossip"}


@pytest.mark.parametrize("longest_chunk", [1200, 24 * 3600])
def test_no_task_may_run_until_its_message_comes_again(
    longest_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWMILL_MAX_CHUNK_SECONDS", str(longest_chunk))
    config = runpy.run_path(str(CONFIG))
    limits = [config["task_time_limit"], tasks.plan.time_limit, tasks.finish.time_limit]
    assert config["task_time_limit"] == longest_chunk
    assert config["broker_transport_options"]["visibility_timeout"] >= max(limits) + RESERVE_SECONDS


def test_results_are_kept_nowhere_but_in_the_database() -> None:
    assert type(app.backend).__name__ == "DisabledBackend"


@pytest.mark.parametrize("file", ["rowmill/stack/programs.py", "docker-compose.yml", "docs/operating.md"])
def test_no_worker_talks_to_others(file: str) -> None:
    commands = re.findall(r"worker\W+-E\b.*", (ROOT / file).read_text())
    assert commands
    assert all(set(re.findall(r"--without-\w+", line)) == FLAGS for line in commands)

"""What the README and the pages for kinds of models show is what happens: their blocks are run in order, on a
fresh stack, as a reader would.

`console` blocks are commands with their output, `sh` and `python` blocks run without one, `sql` is for
DuckDB; `text` blocks are not run. Ids, and progress that depends on the machine, may differ; pages show
numbers with six decimals or all of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import duckdb_extension_httpfs
import pytest

from base.settings import Settings
from rowmill.stack import Stack

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
# a slow machine shows progress right up to the end
PROGRESS = re.compile(
    r"^(uploading|queued|planning|scoring|finishing|downloading|succeeded:).*\n", re.MULTILINE
)
SHOWN_ADDRESS = "127.0.0.1:8000"
SHOWN_URL = f"http://{SHOWN_ADDRESS}"
SHOWN_PAIR = '"127.0.0.1", 8000'
LONG_NUMBER = re.compile(r"\d+\.\d{4,}(e-?\d+)?")
END = "\x1e"


class Block(NamedTuple):
    """A fenced block of the page."""

    language: str
    text: str


class Command(NamedTuple):
    """A line after a prompt, and what the page says that it prints."""

    line: str
    output: str


class Place:
    """Where a reader of the page would be: a folder with the examples, and a stack without models."""

    def __init__(self, folder: Path, url: str, data_dir: Path) -> None:
        self.folder = folder
        self.url = url
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ROWMILL_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ROWMILL_URL": url,
            "ROWMILL_DATA_DIR": str(data_dir),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        }

    def run(self, *command: str) -> str:
        """What a program prints, both streams together."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\nended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def here(self, text: str) -> str:
        """The text with the address and the job of this place."""
        if "/jobs/JOB/" in text:
            text = text.replace("JOB", json.loads((self.folder / "job.json").read_text())["id"])
        host, port = self.url.removeprefix("http://").split(":")
        return text.replace(SHOWN_ADDRESS, f"{host}:{port}").replace(SHOWN_PAIR, f'"{host}", {port}')


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "examples").symlink_to(ROOT / "examples")
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("readme"), port=0, flower_port=0)) as stack:
        yield Place(folder, stack.url, stack.settings.data_dir)


@pytest.mark.timeout(300)
def test_the_readme_does_what_it_says(place: Place) -> None:
    assert follow(place, "README.md") == set(RUNNERS)


@pytest.mark.parametrize("page", ["docs/text.md", "docs/tables.md"])
@pytest.mark.timeout(300)
def test_pages_on_kinds_of_models_do_what_they_say(place: Place, page: str) -> None:
    assert "console" in follow(place, page)


@pytest.mark.clients
@pytest.mark.timeout(300)
def test_the_page_on_other_protocols_does_what_it_says(place: Place) -> None:
    assert follow(place, "docs/protocols.md") == {"console", "python"}


def follow(place: Place, page: str) -> set[str]:
    """Run a page; the languages of what was run."""
    blocks = [Block(*match) for match in BLOCK.findall((ROOT / page).read_text())]
    assert {block.language for block in blocks} <= {*RUNNERS, "text"}
    ran = [block for block in blocks if block.language in RUNNERS]
    for block in ran:
        RUNNERS[block.language](place, block.text)
    return {block.language for block in ran}


def run_console(place: Place, text: str) -> None:
    commands = [Command(*part.split("\n", 1)) for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    # one shell for the block, so that a variable lives on; a refusal that is shown has a status of its own
    script = "\n".join(f"{place.here(command.line)}\nprintf '{END}'" for command in commands)
    outputs = place.run("bash", "-c", script).split(END)[:-1]
    for command, output in zip(commands, outputs, strict=True):
        assert plain(output.replace(place.url, SHOWN_URL)) == plain(command.output), command.line


def run_shell(place: Place, text: str) -> None:
    place.run("bash", "-euo", "pipefail", "-c", place.here(text))


def run_python(place: Place, text: str) -> None:
    place.run(sys.executable, "-c", place.here(text))


def run_sql(place: Place, text: str) -> None:
    extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    assert len(connection.execute(place.here(text)).fetchall()) == 3


def plain(output: str) -> str:
    """Output without what differs from run to run."""
    shorter = LONG_NUMBER.sub(lambda number: f"{float(number[0]):.4f}", output)
    return JOB_ID.sub("ID", PROGRESS.sub("", shorter)).strip()


RUNNERS = {"console": run_console, "sh": run_shell, "python": run_python, "sql": run_sql}

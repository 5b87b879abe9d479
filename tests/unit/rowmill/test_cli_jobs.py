"""The commands about jobs: what they print where, and the exit codes that scripts rely on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rowmill.cli import app
from tests.unit.rowmill.talking_server import (
    Answer,
    TalkingServer,
    accepted,
    as_json,
    problem,
    resource,
    talking_server,
)

ROWS = {"total": 1000, "done": 1000, "failed": 0}
SUCCEEDED = resource("succeeded", rows=ROWS)
WITH_ERRORS = resource("succeeded", rows={**ROWS, "failed": 17})
FAILED = resource("failed", error={"code": "disk_full", "message": "no space left"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TalkingServer]:
    with talking_server() as server:
        monkeypatch.setenv("ROWMILL_URL", server.url)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "data.csv").write_text("a\n1\n")
        server.on("POST", "/jobs", accepted)
        server.on("GET", "/jobs/j1", as_json(SUCCEEDED, ETag='"1"'))
        server.on("GET", "/jobs/j1/result", Answer(200, b"PAR1"))
        server.on("GET", "/jobs/j1/result.csv", Answer(200, b"prediction\n1\n"))
        yield server


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def test_score_writes_the_result_and_keeps_stdout_clean(server: TalkingServer) -> None:
    ended = run(
        "score", "data.csv", "-m", "wine", "-o", "out.parquet", "--tag", "a", "--tag", "b", "--no-header"
    )
    assert ended.exit_code == 0
    assert ended.stdout == ""
    assert f"job {server.url}/jobs/j1\n" in ended.stderr
    assert "succeeded · 1,000 of 1,000 rows\nresult out.parquet\n" in ended.stderr
    assert Path("out.parquet").read_bytes() == b"PAR1"
    assert server.seen[0].query == {"model": "wine", "tags": "a,b", "header": "none"}


@pytest.mark.parametrize("ending", [".csv.gz", ".tar.gz", ".tgz", ".zip"])
def test_score_names_the_result_after_the_input(server: TalkingServer, ending: str) -> None:
    Path("data.csv").rename(f"jan.2026{ending}")
    assert run("score", f"jan.2026{ending}").exit_code == 0
    assert Path("jan.2026.scored.parquet").read_bytes() == b"PAR1"


def test_score_reads_stdin_and_writes_stdout(server: TalkingServer) -> None:
    ended = run("score", "-", "-o", "-", "--format", "csv", stdin=b"a\n1\n")
    assert (ended.exit_code, ended.stdout) == (0, "prediction\n1\n")
    assert server.seen[0].body == b"a\n1\n"


def test_a_folder_is_sent_as_an_archive_and_names_the_result(server: TalkingServer) -> None:
    Path("photos/cats").mkdir(parents=True)
    Path("photos/cats/1.png").write_bytes(b"x")
    Path("photos/.hidden").write_bytes(b"x")
    assert run("score", "photos/", "-m", "shapes").exit_code == 0
    assert Path("photos.scored.parquet").read_bytes() == b"PAR1"
    with tarfile.open(fileobj=io.BytesIO(server.seen[0].body)) as tar:
        assert tar.getnames() == ["cats/1.png"]
    assert server.seen[0].headers["content-disposition"].endswith("photos.tar")


def test_an_empty_folder_is_one_line(server: TalkingServer) -> None:
    Path("empty").mkdir()
    ended = run("submit", "empty")
    assert (ended.exit_code, ended.stderr) == (1, "rowmill: there is no file in the folder empty\n")
    assert not server.seen


def test_the_extension_chooses_the_format(server: TalkingServer) -> None:
    assert run("score", "data.csv", "-o", "out.csv", "--json").stdout == json.dumps(SUCCEEDED) + "\n"
    assert Path("out.csv").read_text() == "prediction\n1\n"


@pytest.mark.parametrize(
    ("job", "flags", "code", "says"),
    [
        (WITH_ERRORS, [], 0, "17 with errors; `rowmill errors j1` lists them"),
        (WITH_ERRORS, ["--strict"], 3, "17 with errors"),
        (SUCCEEDED, ["--strict"], 0, "succeeded"),
        ({**SUCCEEDED, "warnings": ["The columns b are not used."]}, [], 0, "warning: The columns b are"),
        ({**SUCCEEDED, "warnings": [*"abcdef"]}, [], 0, "warning: c\n3 more warnings; `rowmill status j1`"),
        (FAILED, [], 1, "failed: no space left (disk_full)"),
        (resource("cancelled"), [], 1, "cancelled"),
        (resource("scoring"), ["--timeout", "0s"], 4, "`rowmill cancel j1` stops it"),
    ],
)
@pytest.mark.parametrize(
    "command", [("score", "data.csv"), ("wait", "j1"), ("watch", "j1")], ids=lambda command: command[0]
)
def test_exit_codes(
    server: TalkingServer,
    command: tuple[str, ...],
    *,
    job: dict[str, object],
    flags: list[str],
    code: int,
    says: str,
) -> None:
    server.on("GET", "/jobs/j1", as_json(job, ETag='"1"'))
    ended = run(*command, *flags)
    assert ended.exit_code == code
    assert says in ended.stderr
    assert ended.stdout == ""


def test_wait_answers_for_several_jobs_with_the_worst(server: TalkingServer) -> None:
    server.on("GET", "/jobs/j2", as_json({**FAILED, "id": "j2"}, ETag='"1"'))
    ended = run("wait", "j2", "j1", "--json")
    assert ended.exit_code == 1
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == ["j2", "j1"]


def test_no_server_is_exit_5_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking_server() as gone:
        monkeypatch.setenv("ROWMILL_URL", gone.url)
    ended = run("status", "j1")
    assert ended.exit_code == 5
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"rowmill: cannot reach the Rowmill server at {gone.url}:")
    assert "rowmill up" in line


def test_a_refusal_is_its_detail_and_its_entries(server: TalkingServer) -> None:
    entries = [{"column": "Age", "detail": "not in the file; did you mean 'age'?"}]
    server.on("POST", "/jobs", problem(422, "missing_column", "1 column is missing.", entries))
    ended = run("submit", "data.csv")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "rowmill: 1 column is missing. (missing_column)\n  column Age: not in the file; did you mean 'age'?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "missing.csv"], "does not exist"),
        (["score", "data.csv", "-o", "nowhere/out.parquet"], "there is no folder nowhere"),
        (["score", "data.csv", "-o", "."], "is a folder"),
        (["score", "data.csv", "-o", "out.xlsx"], "no format is called .xlsx"),
        (["score", "data.csv", "--format", "xml"], "unknown format 'xml'"),
        (["score", "data.csv", "-o", "-", "--json"], "stdout already"),
        (["score", "data.csv", "--timeout", "soon"], "not a length of time"),
        (["errors", "j1", "--csv", "--json"], "choose one"),
        (["predict"], "No such command"),
    ],
)
def test_wrong_usage_is_exit_2_and_asks_the_server_nothing(
    server: TalkingServer, arguments: list[str], says: str
) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 2
    assert says in " ".join(ended.stderr.replace("│", " ").split())
    assert not server.seen


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWMILL_PORT", "many")
    ended = run("ps")
    assert ended.exit_code == 2
    assert "the setting ROWMILL_PORT is 'many'" in ended.stderr


def test_submit_prints_the_id_alone(server: TalkingServer) -> None:
    ended = run("submit", "data.csv")
    assert (ended.exit_code, ended.stdout) == (0, "j1\n")
    assert "`rowmill watch j1` follows it" in ended.stderr


def test_status_for_people_and_for_programs(server: TalkingServer) -> None:
    server.on("GET", "/jobs/j1", as_json(resource("scoring", done_rows=500)))
    shown = run("status", "j1").stdout
    assert "status    scoring\n" in shown
    assert "model     wine@3\n" in shown
    assert "rows      500 of 1,000 rows · 41,000 rows/s · 12 s left\n" in shown
    assert json.loads(run("status", "j1", "--json").stdout)["status"] == "scoring"


def test_get_writes_a_file_or_stdout(server: TalkingServer) -> None:
    assert run("get", "j1").exit_code == 0
    assert Path("data.scored.parquet").read_bytes() == b"PAR1"
    assert run("get", "j1", "-o", "-", "--format", "csv").stdout == "prediction\n1\n"


def test_get_takes_what_is_there_if_told_so(server: TalkingServer) -> None:
    server.on("GET", "/jobs/j1", as_json(resource("scoring"), ETag='"1"'))
    ended = run("get", "j1", "--partial", "-o", "out.parquet")
    assert ended.stderr == "result out.parquet (partial)\n"
    assert server.seen[-1].query == {"partial": "1"}
    assert run("get", "j1", "-o", "-", "--format", "csv", "--partial").stdout == "prediction\n1\n"
    assert server.seen[-1].query == {"partial": "1"}


def test_get_before_the_end_says_what_the_server_says(server: TalkingServer) -> None:
    server.on("GET", "/jobs/j1/result", problem(409, "job_not_finished", "The job is still scoring."))
    ended = run("get", "j1", "-o", "out.parquet")
    assert (ended.exit_code, ended.stderr) == (1, "rowmill: The job is still scoring. (job_not_finished)\n")


def test_errors_for_people_and_for_programs(server: TalkingServer) -> None:
    bad = {
        "row": 4,
        "line": 6,
        "column": "age",
        "value": "n/a",
        "code": "not_a_number",
        "message": "not a number",
    }
    text = json.dumps(bad).encode() + b"\n"
    server.on("GET", "/jobs/j1/errors.jsonl", Answer(200, text))
    server.on("GET", "/jobs/j1/errors.csv", Answer(200, b"row,line\n4,6\n"))
    assert run("errors", "j1").stdout == "row 4 (line 6), age='n/a': not a number (not_a_number)\n"
    assert run("errors", "j1", "--json").stdout_bytes == text
    assert run("errors", "j1", "--csv").stdout_bytes == b"row,line\n4,6\n"


def test_cancel(server: TalkingServer) -> None:
    server.on("POST", "/jobs/j1/cancel", as_json(resource("cancelled", done_rows=400), 202))
    ended = run("cancel", "j1")
    assert (ended.exit_code, ended.stderr) == (0, "cancelled · 400 of 1,000 rows\n")


def test_ps_lists_as_many_jobs_as_wanted(server: TalkingServer) -> None:
    page = {"jobs": [resource(job_id="j3"), resource(job_id="j2", name="march")], "next_cursor": "c1"}
    server.on("GET", "/jobs", as_json(page), as_json({"jobs": [resource(job_id="j1")], "next_cursor": None}))
    shown = run("ps", "--status", "queued", "--limit", "2").stdout.splitlines()
    assert shown[0].split() == ["ID", "STATUS", "MODEL", "ROWS", "CREATED", "NAME"]
    assert [line.split()[0] for line in shown[1:]] == ["j3", "j2"]
    assert shown[2].endswith("march")
    assert [request.query for request in server.seen] == [{"status": "queued"}]


def test_ps_without_jobs_is_a_heading(server: TalkingServer) -> None:
    server.on("GET", "/jobs", as_json({"jobs": [], "next_cursor": None}))
    assert run("ps").stdout.split() == ["ID", "STATUS", "MODEL", "ROWS", "CREATED", "NAME"]
    assert run("ps", "--json").stdout == ""


def test_ctrl_c_leaves_the_job_alone(server: TalkingServer) -> None:
    server.on(
        "GET", "/jobs/j1", as_json(resource("scoring"), ETag='"1"'), Answer(304, headers={"Retry-After": "9"})
    )
    program = [sys.executable, "-c", "from rowmill.cli import main; main()", "score", "data.csv"]
    folder = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": folder}
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == f"job {server.url}/jobs/j1\n"
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130
    assert said == (
        "rowmill: interrupted; job j1 goes on: `rowmill watch j1` follows it, `rowmill cancel j1` stops it\n"
    )
    assert [request.method for request in server.seen].count("POST") == 1


def test_help_needs_neither_scikit_learn_nor_celery() -> None:
    program = "import sys, rowmill.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "rowmill.cli.score_commands" in loaded
    assert not {"sklearn", "celery", "flask", "pandas"} & set(loaded)


def test_every_command_explains_itself() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        ended = run(name, "--help")
        assert ended.exit_code == 0, name
        assert command.callback.__doc__, name


@pytest.mark.parametrize(
    ("arguments", "address", "query"),
    [
        (["retry", "j1"], "/jobs/j1/retry", {}),
        (
            ["retry", "j1", "--max-row-errors", "5%", "--ttl", "1d"],
            "/jobs/j1/retry",
            {"max_row_errors": "5%", "ttl": "1d"},
        ),
        (
            ["clone", "j1", "-m", "wine@4", "--keep", "id"],
            "/jobs/j1/clone",
            {"model": "wine@4", "keep": "id"},
        ),
    ],
)
def test_a_job_is_done_again_as_a_new_one(
    server: TalkingServer, arguments: list[str], address: str, query: dict[str, str]
) -> None:
    busy = problem(503, "database_down", "try again", Retry_After="0")
    server.on("POST", address, busy, as_json(resource(job_id="j2", retry_of="j1"), 202))
    server.on("GET", "/jobs/j2", as_json(resource(job_id="j2", retry_of="j1")))
    ended = run(*arguments)
    assert (ended.exit_code, ended.stdout) == (0, "j2\n")
    assert server.seen[0].query == query
    assert server.seen[0].headers["idempotency-key"] == server.seen[1].headers["idempotency-key"]
    server.on("POST", address, as_json(resource(job_id="j2"), 202))
    assert json.loads(run(*arguments, "--json").stdout)["retry_of"] == "j1"

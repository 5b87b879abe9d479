"""How a command ends: the exit codes that scripts may trust, and every expected error as one clear line."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NoReturn

import typer
from pydantic import SecretStr, ValidationError
from typer.core import TyperGroup

from base.settings import Settings
from rowmill.client import ApiError, ConnectError, JobResource, RowmillError, WaitTimeout

# Settings whose value is never printed, not even where it is wrong.
SECRETS = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}


class ExitCode(IntEnum):
    """Exit codes of the commands that talk to a server; docs/cli.md explains them."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    ROW_ERRORS = 3
    TIMEOUT = 4
    UNREACHABLE = 5
    BAR_MISSED = 6
    ALIAS_MOVED = 7
    INTERRUPTED = 130


class Commands(TyperGroup):
    """The command group that turns the client's errors into a line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except WaitTimeout as late:
            stop(f"{late}; {how_to_go_on(late.job_id)}", ExitCode.TIMEOUT)
        except ConnectError as unreachable:
            stop(f"{unreachable}; is it running? `rowmill up` starts one here", ExitCode.UNREACHABLE)
        except ApiError as refused:
            entries = "".join(f"\n  {entry}" for entry in refused.entries())
            stop(f"{refused.detail} ({refused.code}){entries}", ExitCode.FAILED)
        except ValidationError as invalid:
            stop(_setting_problem(invalid), ExitCode.USAGE)
        except BrokenPipeError:
            raise  # the reader of stdout has seen enough; Typer ends quietly
        except (RowmillError, OSError) as failed:
            stop(str(failed), ExitCode.FAILED)
        except MemoryError:
            stop("there is not enough memory for this", ExitCode.FAILED)
        except KeyboardInterrupt:
            stop("interrupted", ExitCode.INTERRUPTED)


def _setting_problem(invalid: ValidationError) -> str:
    """What is wrong with the environment or `.env`; commands check their own arguments before this."""
    wrong = invalid.errors()[0]
    said = wrong["msg"].removeprefix("Value error, ")
    if not wrong["loc"]:
        return said
    name = "_".join(str(part) for part in wrong["loc"]).upper()
    shown = "***" if name in SECRETS else repr(wrong["input"])
    return f"the setting ROWMILL_{name} is {shown}: {said}"


def say(text: str) -> None:
    """Tell the person in front of it; stdout is for data only."""
    typer.echo(text, err=True)


def stop(text: str, code: ExitCode) -> NoReturn:
    """End the command with a line that says why."""
    say(f"rowmill: {text}")
    raise typer.Exit(code)


def how_to_go_on(job_id: str) -> str:
    """What a person can do about a job that runs without anybody waiting."""
    return f"`rowmill watch {job_id}` follows it, `rowmill cancel {job_id}` stops it"


def code_of(job: JobResource, strict: bool) -> ExitCode:
    """The exit code that an ended job means; row errors count only if asked for (`--strict`)."""
    if job["status"] != "succeeded":
        return ExitCode.FAILED
    return ExitCode.ROW_ERRORS if strict and job["rows"]["failed"] else ExitCode.SUCCEEDED

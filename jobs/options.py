"""The options of a submission: their names, their values, and what a wrong one is told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from base.formats import CsvOptions
from jobs.errors import Problem

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and (
        match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", value.strip())
    ):
        return float(match[1]) * _UNITS[match[2]]
    return value


def _delimiter(value: Any) -> Any:
    return _DELIMITERS.get(value.lower(), value) if isinstance(value, str) else value


def _header(value: Any) -> Any:
    return {"none": False, "0": False, "false": False, "1": True, "true": True, "first": True}.get(
        str(value).lower(), value
    )


def _row_errors(value: Any) -> Any:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{1,15}|[0-9]{1,3}(\.[0-9]+)?%", text) or (
        text.endswith("%") and float(text[:-1]) > 100
    ):
        raise ValueError("must be a count of rows, such as 100, or a share of them, such as 1%")
    return text


Names = Annotated[list[str], BeforeValidator(_split)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=10 * 365 * 86400)]


class Options(BaseModel):
    """What a client may ask of a job; ``None`` means the default that the design of the option names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    name: Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    tags: Annotated[Names, Field(max_length=16)] = []
    keep: Names = []
    outputs: Annotated[list[Literal["confidence"]], BeforeValidator(_split)] = []
    on_error: Literal["null", "fail"] = "null"
    max_row_errors: Annotated[str, BeforeValidator(_row_errors)] | None = None
    chunk_rows: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    ttl: Seconds | None = None
    deadline: Seconds | None = None
    dry_run: bool = False
    delimiter: Annotated[Literal[",", ";", "\t", "|"], BeforeValidator(_delimiter)] | None = None
    decimal: Literal[".", ","] = "."
    charset: str | None = None
    header: Annotated[bool, BeforeValidator(_header)] = True
    null_values: Names = ["NA", "NaN", "null"]

    def csv(self) -> CsvOptions:
        """The part of the options that reading the file needs."""
        return CsvOptions(
            delimiter=self.delimiter,
            header=self.header,
            charset=self.charset,
            decimal=self.decimal,
            null_values=tuple(self.null_values),
        )


def parse_options(given: Mapping[str, str]) -> Options:
    """Check what a client sent as text; every wrong option is named at once.

    Raises ``Problem`` with the code ``unknown_option`` or ``bad_option``.
    """
    try:
        return Options.model_validate(dict(given))
    except ValidationError as invalid:
        errors = [_explain(error) for error in invalid.errors()]
    unknown = any(error["code"] == "unknown_option" for error in errors)
    raise Problem(
        "unknown_option" if unknown else "bad_option",
        "; ".join(error["detail"] for error in errors) + ".",
        errors,
    )


def _explain(error: Any) -> dict[str, Any]:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, list(Options.model_fields), 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known options: {', '.join(Options.model_fields)}"
        return {"code": "unknown_option", "option": name, "detail": f"Unknown option '{name}'; {hint}"}
    value = error["input"]
    detail = f"Option '{name}' cannot be {value!r}: {error['msg'].removeprefix('Value error, ')}"
    return {"code": "bad_option", "option": name, "value": str(value)[:200], "detail": detail}


def allowed_failures(limit: str | None, rows: int | None) -> int | None:
    """Most bad rows under ``max_row_errors``; None while no bound is known.

    A share is judged against ``rows``, the total once it is known.
    """
    if limit is None:
        return None
    if limit.endswith("%"):
        return None if rows is None else int(rows * float(limit[:-1]) / 100)
    return int(limit)

"""What a request to ``/feedback`` says: which labels, of what, and where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api import strict_json
from jobs.errors import Problem
from jobs.feedback.extracting import Columns
from jobs.feedback.labels import MAX_LABEL_LENGTH
from jobs.feedback.sent import SCHEMA, By, Sent
from jobs.options import Seconds
from models.payload import MAX_KEY_LENGTH, error, pointer, refused

OPTIONS = ("job", "model", "key", "row", "prediction_id", "label")
IN_JSON = ("job", "model", "key")
WAYS: tuple[By, ...] = ("prediction_id", "key", "row")
MAX_ERRORS = 100
_SHAPE = '{"labels": [{"prediction_id": "…", "label": …}, {"key": "…", "label": …}]}'


@dataclass(frozen=True)
class Options:
    """``key`` is the kept column of a job's result that labels are joined by, and its name in a file."""

    job: str | None = None
    model: str | None = None
    key: str | None = None
    row: str | None = None
    prediction_id: str | None = None
    label: str | None = None

    @property
    def columns(self) -> Columns:
        """Where a file has what."""
        return Columns(self.label or "label", self.key, self.row, self.prediction_id, self.job is not None)


def options_of(given: Mapping[str, str]) -> Options:
    """Raises ``Problem`` (``unknown_option``, ``bad_option``), also for what means nothing together."""
    for name in given:
        if name not in OPTIONS:
            raise Problem(
                "unknown_option", f"POST /feedback has no option {name[:100]!r}, only {', '.join(OPTIONS)}."
            )
        if "\0" in given[name]:
            raise Problem("bad_option", f"{name} holds a NUL byte.")
    options = Options(**{name: value for name, value in given.items() if value})
    ways = [way for way in WAYS if getattr(options, way)]
    if len(ways) > 1:
        raise Problem("bad_option", f"{' and '.join(ways)} cannot stand together: labels are joined by one.")
    if ways and getattr(options, ways[0]) == options.columns.label:
        raise Problem("bad_option", f"{ways[0]} and label are one column, {options.columns.label[:100]!r}.")
    if options.job is None and options.row:
        raise Problem("bad_option", "row numbers are those of a job; name it with job=.")
    for name in ("model", "prediction_id"):
        if options.job is not None and getattr(options, name):
            raise Problem("bad_option", f"{name} is for predictions on the spot; leave it out beside job.")
    return options


class AccuracyOptions(BaseModel):
    """What ``GET /models/<name>/accuracy`` is asked: ``window`` is how many seconds back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    window: Seconds = 30 * 86400.0


def accuracy_options(given: Mapping[str, str]) -> AccuracyOptions:
    """Raises ``Problem`` (``unknown_option``, ``bad_option``)."""
    try:
        return AccuracyOptions.model_validate(given)
    except ValidationError as invalid:
        wrong = invalid.errors()[0]
    name = str(wrong["loc"][0])
    if wrong["type"] == "extra_forbidden":
        raise Problem("unknown_option", f"There is no option {name[:100]!r}, only version and window.")
    raise Problem("bad_option", f"{name} cannot be {str(wrong['input'])[:100]!r}: {wrong['msg']}.")


def is_json(mimetype: str, path: Path, size: int, most: int) -> bool:
    """Whether the body is one JSON object with ``labels``, and no file: whatever curl calls it."""
    if mimetype == "application/json":
        return True
    if size > most:
        return False
    body = path.read_bytes()
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        value = strict_json.parse(body)
    except Problem:
        return False  # JSON Lines, or nothing; whoever reads it as a file says which
    return isinstance(value, dict) and "labels" in value


def read_json(body: bytes, options: Options) -> tuple[Options, list[Sent]]:
    """The labels by what they are joined by. Raises ``Problem``, or ``PayloadRefused`` with pointers."""
    value = strict_json.parse(body)
    if not isinstance(value, dict) or not isinstance(value.get("labels"), list):
        raise refused("/labels", "wrong_type", f"The body must be an object with a list of labels: {_SHAPE}.")
    for name in value:
        if name not in (*IN_JSON, "labels"):
            raise refused(pointer(name), "unknown_field", f"{name[:100]!r} is not known beside labels.")
    if options.row or options.prediction_id or options.label:
        raise Problem("bad_option", "row, prediction_id and label name columns of a file; JSON has none.")
    merged = _merged(options, value)
    if not value["labels"]:
        raise refused("/labels", "no_rows", "labels is empty.")
    return merged, list(_sent(value["labels"], merged))


def _merged(options: Options, value: Mapping[str, Any]) -> Options:
    given = {name: text for name in IN_JSON if (text := getattr(options, name)) is not None}
    for name in IN_JSON:
        if name not in value or value[name] is None:
            continue
        if not isinstance(value[name], str) or given.setdefault(name, value[name]) != value[name]:
            raise refused(pointer(name), "conflict", f"{name} must be one text, in the URL or in the body.")
    return options_of(given)


def _sent(entries: list[Any], options: Options) -> Iterator[Sent]:
    found: dict[By, list[tuple[str, str | None]]] = defaultdict(list)
    errors = []
    for row, entry in enumerate(entries):
        if (wrong := _wrong(entry, options)) is not None:
            errors.append(error(pointer("labels", row), "wrong_type", wrong))
        else:
            way = next(way for way in WAYS if way in entry)
            found[way].append((str(entry[way]), _text(entry["label"])))
        if len(errors) == MAX_ERRORS:
            break
    if errors:
        raise Problem("invalid_input", f"The labels cannot be read: {errors[0]['detail']}", errors)
    for way, pairs in found.items():
        keys, labels = zip(*pairs, strict=True)
        table = pa.table([pa.array(keys, pa.string()), pa.array(labels, pa.string())], schema=SCHEMA)
        yield Sent(way, lambda table=table: iter([table]))  # type: ignore[misc]


def _wrong(entry: Any, options: Options) -> str | None:
    """What is wrong with an entry of ``labels``."""
    ways = ("key", "row") if options.job else ("prediction_id", "key")
    if not isinstance(entry, dict) or "label" not in entry or len(entry) != 2 or not set(ways) & set(entry):
        return f"Each entry has label and one of {' and '.join(ways)}, nothing else."
    way = next(way for way in ways if way in entry)
    return _wrong_name(way, entry[way], options) or _wrong_label(entry["label"])


def _wrong_name(way: str, name: Any, options: Options) -> str | None:
    if way == "row":
        is_number = isinstance(name, int) and not isinstance(name, bool)
        return None if is_number else "row is a whole number; the first row is 0."
    if not isinstance(name, str) or not 0 < len(name) <= MAX_KEY_LENGTH or not _is_text(name):
        return f"{way} is a text of 1 to {MAX_KEY_LENGTH} characters."
    if options.job and not options.key:
        return "To join by key, say which kept column of the result has it: key."
    return None


def _wrong_label(label: Any) -> str | None:
    if isinstance(label, dict | list) or len(_text(label) or "") > MAX_LABEL_LENGTH or not _is_text(label):
        return f"label is a text, a number or a truth value of at most {MAX_LABEL_LENGTH} characters."
    return None


def _is_text(value: Any) -> bool:
    """Half of a character is none, and Postgres has no NUL."""
    if not isinstance(value, str):
        return True
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _text(label: Any) -> str | None:
    if label is None:
        return None
    return str(label).lower() if isinstance(label, bool) else str(label)

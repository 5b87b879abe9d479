"""The shapes in which rows may be sent for an answer on the spot, each turned into the same thing: rows.

Only the shape is looked at here: which rows there are, and where in the request each value stood. Whether the
values fit a model is decided in ``single``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.errors import ModelError

LISTS = ("instances", "samples", "data", "inputs", "dataframe_records")
SHAPES = ("features", "image", "images", *LISTS, "dataframe_split")
TEXT_SHAPES = ("text", "texts")
# What may stand beside the rows.
BESIDE = frozenset({"model", "key", "keys"})
MAX_KEY_LENGTH = 255
SPLIT_KEYS = ("columns", "data", "index")
WAYS = (
    'Send one row as {"features": {"column": value, …}}, several as {"instances": [{…}, {…}]}, '
    "or the bare record {…}."
)
TEXT_WAYS = 'Send one text as {"text": "…"}, several as {"texts": ["…", "…"]}.'

# Where a value stands in the request, as a JSON pointer: of row i, or of its field (a name or a position).
Place = Callable[[int, str | int | None], str]


class PayloadRefused(ModelError):
    """A request that cannot be answered; ``errors`` has an entry with a JSON pointer for each thing wrong."""

    def __init__(self, code: str, message: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(code, message)
        self.errors = [dict(error) for error in errors]


@dataclass(frozen=True)
class Rows:
    """Rows as they were sent, unchecked: each should be a record by column name or a list in column order.

    For a model of texts, a row may also be the text itself.

    ``single`` says that one row was sent as such, so that the answer is one prediction, not a list of one.
    ``model`` is the reference that stood beside the rows, ``keys`` are the client's own names for them.
    """

    rows: Sequence[Any]
    single: bool
    place: Place
    model: str | None = None
    keys: Sequence[str] | None = None


def reference_in(body: Any) -> str | None:
    """The model that a body names beside its rows; None for a bare record, where every key is a column."""
    if not isinstance(body, dict) or not (any(shape in body for shape in SHAPES) or _is_bare_text(body)):
        return None
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise refused("/model", "wrong_type", 'model must be a text such as "wine" or "wine@3".')
    return model


def read_rows(body: Any, names: Sequence[str], max_rows: int, *, texts: bool = False) -> Rows:
    """The rows in a JSON body, whatever its shape; ``names`` are the model's columns.

    ``texts`` says that the model takes bare texts. Raises PayloadRefused: ``invalid_input``,
    ``too_many_rows``.
    """
    ways = TEXT_WAYS if texts else WAYS
    if not isinstance(body, dict):
        raise refused("", "wrong_type", f"The body must be a JSON object. {ways}")
    found = [shape for shape in (*SHAPES, *(TEXT_SHAPES if texts else ())) if shape in body]
    if _is_bare(body, names):
        found = []
    elif not texts and _is_bare_text(body) and not set(body) & set(names):
        shape = next(shape for shape in TEXT_SHAPES if shape in body)
        raise refused(pointer(shape), "wrong_type", f"The model takes no bare texts. {WAYS}")
    if not found:
        return Rows([body], True, lambda _row, field: pointer(field))
    if len(found) > 1:
        text = f"{' and '.join(found)} cannot stand in one request. {ways}"
        raise refused(pointer(found[1]), "ambiguous", text)
    strangers = [key for key in body if key not in {found[0], *BESIDE}][:20]
    if strangers:
        text = f"is not known beside {found[0]} and model."
        raise PayloadRefused(
            "invalid_input",
            f"{', '.join(repr(key[:100]) for key in strangers)} {text}",
            [error(pointer(key), "unknown_field", f"{key[:100]!r} {text}") for key in strangers],
        )
    rows = _read(found[0], body[found[0]], max_rows, texts)
    return replace(rows, model=reference_in(body), keys=_keys(body, rows))


def is_key(value: Any) -> bool:
    """Whether a client may give a row this name."""
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY_LENGTH and value.isprintable()


def _keys(body: Mapping[str, Any], rows: Rows) -> list[str] | None:
    """What stands under ``key`` of one row, under ``keys`` of several."""
    wanted, other = ("key", "keys") if rows.single else ("keys", "key")
    if other in body:
        text = f"{other} stands with {'several rows' if rows.single else 'one row'}; send {wanted} here."
        raise refused(pointer(other), "unknown_field", text)
    if wanted not in body:
        return None
    given = [body["key"]] if rows.single else body["keys"]
    if not isinstance(given, list) or len(given) != len(rows.rows):
        raise refused("/keys", "wrong_length", f"keys must be a list of {len(rows.rows)}, one for each row.")
    for row, key in enumerate(given):
        if not is_key(key):
            at = pointer("key") if rows.single else pointer("keys", row)
            raise refused(at, "wrong_type", f"A key is a text of 1 to {MAX_KEY_LENGTH} printable characters.")
    return given


def image_rows(images: Sequence[Any]) -> Rows:
    """Images that were sent as they are; a single one is answered as such."""
    rows = [{"image": image} for image in images]
    if len(rows) == 1:
        return Rows(rows, True, lambda _row, field: pointer(field))
    return Rows(rows, False, lambda row, _field: pointer("images", row))


def _is_bare(body: Mapping[str, Any], names: Sequence[str]) -> bool:
    """A record of a model with a column called ``data`` or so: all keys are columns, with plain values."""
    return set(body) == set(names) and not any(isinstance(value, dict | list) for value in body.values())


def _is_bare_text(body: Mapping[str, Any]) -> bool:
    """Nothing but a text or texts, model and keys; with other names beside it, `text` is a column."""
    return set(body) - BESIDE in ({"text"}, {"texts"})


def _read(shape: str, value: Any, max_rows: int, texts: bool) -> Rows:
    if shape == "features":
        return _one(value, texts)
    if shape == "text":
        return _text(value)
    if shape in ("image", "images"):
        return _images(shape, value, max_rows)
    if shape == "dataframe_split":
        return _split(value, max_rows)
    if shape == "inputs" and isinstance(value, dict):
        return _columns(value, max_rows)
    return _list(shape, value, max_rows, texts)


def _text(value: Any) -> Rows:
    if isinstance(value, dict | list):
        raise refused("/text", "wrong_type", 'text is one text; send several as {"texts": ["…", "…"]}.')
    return Rows([value], True, lambda _row, _field: "/text")


def _one(value: Any, texts: bool) -> Rows:
    if texts and not isinstance(value, dict | list):
        return Rows([value], True, lambda _row, _field: "/features")
    if not isinstance(value, dict | list):
        raise refused("/features", "wrong_type", f"features must be one row: an object or a list. {WAYS}")
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        raise refused("/features", "wrong_type", "features holds one row; send several rows as instances.")
    return Rows([value], True, lambda _row, field: pointer("features", field))


def _list(shape: str, value: Any, max_rows: int, texts: bool) -> Rows:
    if not isinstance(value, list):
        what = f"rows. {WAYS}" if not texts else f"texts. {TEXT_WAYS}"
        raise refused(pointer(shape), "wrong_type", f"{shape} must be a list of {what}")
    _check_count(shape, value, max_rows)
    for row, each in enumerate(value):
        if shape == "texts" and isinstance(each, dict | list):
            text = "texts is a list of bare texts; records go under instances."
            raise refused(pointer(shape, row), "wrong_type", text)
        if not texts and not isinstance(each, dict | list):
            text = f"Each row in {shape} must be an object or a list; for a single row send features."
            raise refused(pointer(shape, row), "wrong_type", text)
    return Rows(value, False, lambda row, field: pointer(shape, row, field))


def _images(shape: str, value: Any, max_rows: int) -> Rows:
    if shape == "image":
        return image_rows([value])
    if not isinstance(value, list):
        raise refused("/images", "wrong_type", "images must be a list of base64 texts; send one as image.")
    _check_count("images", value, max_rows)
    return replace(image_rows(value), single=False, place=lambda row, _field: pointer("images", row))


def _split(value: Any, max_rows: int) -> Rows:
    """pandas' ``to_dict("split")``; the index is not looked at, answers are numbered from 0."""
    at = "dataframe_split"
    if not isinstance(value, dict):
        raise refused(pointer(at), "wrong_type", f"{at} must be an object with columns and data.")
    for key in value:
        if key not in SPLIT_KEYS:
            raise refused(pointer(at, key), "unknown_field", f"{at} has columns, data and index only.")
    columns = _column_names(value.get("columns"))
    data = value.get("data")
    if not isinstance(data, list):
        raise refused(pointer(at, "data"), "wrong_type", "data must be a list of rows.")
    _check_count(f"{at}/data", data, max_rows)
    for row, each in enumerate(data):
        if not isinstance(each, list) or len(each) != len(columns):
            text = f"Each row must be a list of {len(columns)} values, one for each of columns."
            raise refused(pointer(at, "data", row), "wrong_length", text)
    positions = {name: position for position, name in enumerate(columns)}

    def place(row: int, field: str | int | None) -> str:
        if isinstance(field, str):
            return (
                pointer(at, "data", row, positions[field]) if field in positions else pointer(at, "columns")
            )
        return pointer(at, "data", row, field)

    return Rows([dict(zip(columns, each, strict=True)) for each in data], False, place)


def _column_names(columns: Any) -> list[str]:
    at = pointer("dataframe_split", "columns")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise refused(at, "wrong_type", "columns must be a list of column names.")
    if len(set(columns)) < len(columns):
        raise refused(at, "duplicate_field", "columns names a column twice.")
    return columns


def _columns(value: dict[str, Any], max_rows: int) -> Rows:
    """One list of values for each column, all of one length."""
    lists = list(value.items())
    for name, values in lists:
        if not isinstance(values, list):
            raise refused(pointer("inputs", name), "wrong_type", "must be a list with one value per row.")
        if len(values) != len(lists[0][1]):
            text = f"has {len(values)} values, the list before it {len(lists[0][1])}; they must be as many."
            raise refused(pointer("inputs", name), "wrong_length", text)
    first = lists[0][1] if lists else []
    _check_count("inputs", first, max_rows)
    rows = [{name: values[row] for name, values in lists} for row in range(len(first))]

    def place(row: int, field: str | int | None) -> str:
        return pointer("inputs", field, row) if field in value else pointer("inputs", field)

    return Rows(rows, False, place)


def _check_count(shape: str, rows: Sequence[Any], max_rows: int) -> None:
    if not rows:
        raise refused(f"/{shape}", "no_rows", f"{shape} has no rows.")
    if len(rows) > max_rows:
        raise too_many_rows(len(rows), max_rows)


def too_many_rows(count: int, most: int) -> PayloadRefused:
    """More rows than are answered on the spot."""
    return PayloadRefused(
        "too_many_rows",
        f"{count} rows were sent; at most {most} are answered at once. "
        "Send them as a file to POST /jobs, which takes any number.",
    )


def refused(at: str, code: str, detail: str) -> PayloadRefused:
    """A refusal for one reason."""
    return PayloadRefused("invalid_input", detail, [error(at, code, detail)])


def error(at: str, code: str, detail: str) -> dict[str, str]:
    """One entry of ``errors``."""
    return {"pointer": at, "code": code, "detail": detail}


def pointer(*tokens: str | int | None) -> str:
    """An RFC 6901 JSON pointer; None adds nothing."""
    return "".join(
        "/" + str(token)[:200].replace("~", "~0").replace("/", "~1") for token in tokens if token is not None
    )

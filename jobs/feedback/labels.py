"""What a label is: the text that a client sends, as a value of the type that the model's answers have.

Texts, because a file of CSV has nothing else, and because ``true``, ``1`` and ``1.0`` may all mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from models.manifest import ARROW_LABELS, Manifest

# A quantity is more or less right; all others are right or wrong.
Kind = Literal["string", "integer", "boolean", "number", "quantity"]

MAX_LABEL_LENGTH = 1000
# The squares of millions of such errors still have a sum.
MAX_QUANTITY = 1e140
_INTEGER = r"^[+-]?[0-9]{1,18}(\.0*)?$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def kind_of(manifest: Manifest) -> Kind:
    """Of a model with one output."""
    target = manifest.targets[0]
    return "quantity" if manifest.task == "regression" and target.classes is None else target.label_type


def arrow_type(kind: Kind) -> pa.DataType:
    """As results have it."""
    return ARROW_LABELS["number" if kind == "quantity" else kind]


def typed(texts: pa.Array, kind: Kind) -> pa.Array:
    """The values that ``texts`` mean; null where one means none."""
    if kind == "string":
        return texts
    plain = pc.utf8_trim_whitespace(texts)
    if kind == "boolean":
        words = pa.array(list(_TRUTHS))
        return pc.take(pa.array(list(_TRUTHS.values())), pc.index_in(pc.utf8_lower(plain), value_set=words))
    if kind == "integer":
        whole = pc.replace_substring_regex(_matching(plain, _INTEGER), pattern=r"\..*$|^\+", replacement="")
        return whole.cast(pa.int64())
    numbers = pc.replace_substring_regex(_matching(plain, _NUMBER), pattern=r"^\+", replacement="")
    return _where(numbers.cast(pa.float64()), _can_be_squared)


def _can_be_squared(values: pa.Array) -> pa.Array:
    return pc.less(pc.abs(values), MAX_QUANTITY)


def _matching(texts: pa.Array, pattern: str) -> pa.Array:
    return _where(texts, lambda values: pc.match_substring_regex(values, pattern=pattern))


def _where(values: pa.Array, holds: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Null in place of each value that the condition does not hold for."""
    return pc.if_else(holds(values), values, pa.scalar(None, values.type))


def errors(actual: pa.Array, predicted: pa.Array, kind: Kind) -> pa.Array:
    """Of a quantity actual less predicted, of a label 0 if it was right, else 1; null where one is null."""
    if kind == "quantity":
        return _where(pc.subtract(actual, predicted), _can_be_squared)
    return pc.not_equal(actual, predicted).cast(pa.float64())

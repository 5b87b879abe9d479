"""What may be asked about unusual values, and what could have no effect."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.describing import table_signature
from models.errors import SignatureRefused
from models.manifest import ColumnSpec, Signature
from models.policies import Policies, with_policies
from models.samples import Sample


def column(name: str, **fields: Any) -> ColumnSpec:
    return ColumnSpec.model_validate({"name": name, "kind": "number", "dtype": "float64", **fields})


KNOWN = {"minimum": 0.0, "maximum": 9.0, "mean": 4.0, "std": 2.0}
WORDS = {"kind": "string", "dtype": "string", "categories": ("a",), "categories_from": "sample"}
COLUMNS = (column("age", **KNOWN), column("equal", minimum=1.0, maximum=1.0), column("word", **WORDS))
SIGNATURE = Signature(kind="table", named=True, input="frame", columns=(*COLUMNS, column("unknown")))


def test_a_default_is_for_the_columns_that_can_have_it() -> None:
    clip = with_policies(SIGNATURE, Policies("clip", {"age": "refuse"}, max_z=2))
    assert [spec.on_unusual for spec in clip.columns] == ["refuse", "clip", "warn", "warn"]
    assert [spec.max_z for spec in clip.columns] == [2, None, None, None]
    refuse = with_policies(SIGNATURE, Policies("refuse", {"word": "warn"}))
    assert [spec.on_unusual for spec in refuse.columns] == ["refuse", "refuse", "warn", "warn"]


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        (COLUMNS, Policies(columns={"agee": "clip"}), "no column 'agee' (nearest: age)"),
        (COLUMNS, Policies(columns={"word": "clip"}), "word=clip needs a column with a range"),
        ((column("a"),), Policies(columns={"a": "refuse"}), "a=refuse needs a column with a range or"),
        ((column("a"),), Policies("refuse"), "--on-unusual refuse fits no column"),
        (COLUMNS[1:], Policies(max_z=3), "--max-z needs the mean"),
        ((), Policies("clip"), "fits no column"),
    ],
)
def test_what_could_have_no_effect_is_refused(
    columns: tuple[ColumnSpec, ...], asked: Policies, message: str
) -> None:
    with pytest.raises(SignatureRefused, match=re.escape(message)):
        with_policies(SIGNATURE.model_copy(update={"columns": columns}), asked)


def test_a_sample_gives_range_mean_and_spread() -> None:
    columns: dict[str, list[Any]] = {
        "x": [0.5, 2.0, None, 6.5, float("nan"), float("inf")],
        "same": [0.1] * 6,
        "vast": [1e308, -1e308, 1.0, None, None, None],
        "none": pa.nulls(6, pa.float64()),
    }
    sample = Sample(pa.table(columns), frozenset(), {})
    x, same, vast, none = table_signature(list(columns), True, {}, sample).columns
    assert (x.minimum, x.maximum, x.mean) == (0.5, 6.5, 3.0)
    assert x.std == pytest.approx(np.std([0.5, 2, 6.5]))
    assert (same.minimum, same.maximum, same.std) == (0.1, 0.1, None)
    assert (vast.minimum, vast.maximum, vast.std) == (-1e308, 1e308, None)
    assert (none.minimum, none.maximum, none.std) == (None, None, None)

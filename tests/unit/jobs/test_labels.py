"""What texts mean as labels: the same whatever a CSV, JSON or Parquet wrote for it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from jobs.feedback.labels import Kind, errors, typed


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("string", ["a", " a", "1", None], ["a", " a", "1", None]),
        ("integer", ["1", "+1", "-3.0", "2.", " 4 ", "1.5", "1e3", "a", ""], [1, 1, -3, 2, 4, *[None] * 4]),
        ("integer", ["9" * 18, "9" * 19], [int("9" * 18), None]),
        ("boolean", ["True", "false", "1", "0.0", "yes", None], [True, False, True, False, None, None]),
        ("number", ["1", "+.5", "-1e-3", "1e999", "nan", "inf", "1,5"], [1.0, 0.5, -0.001, *[None] * 4]),
        ("quantity", ["3", "x"], [3.0, None]),
        ("quantity", ["1e139", "1e200", "-1e200"], [1e139, None, None]),  # its square must be a number
    ],
)
def test_a_text_means_a_value_or_none(kind: Kind, texts: list[Any], values: list[Any]) -> None:
    assert typed(pa.array(texts, pa.string()), kind).to_pylist() == values


def test_a_label_is_right_or_wrong_and_a_quantity_is_off() -> None:
    one, other = pa.array([1.0, 2.0, None]), pa.array([1.0, 5.0, 1.0])
    assert errors(one, other, "quantity").to_pylist() == [0.0, -3.0, None]
    assert errors(one, other, "number").to_pylist() == [0.0, 1.0, None]
    assert errors(pa.array([1.0]), pa.array([1e300]), "quantity").to_pylist() == [None]

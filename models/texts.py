"""Models that take bare texts, not columns of a table: known by trying, and described.

A vectorizer at the start of a pipeline wants a one-dimensional collection of strings, where all other
estimators want a table. Only the signature of such a model is made here; how texts become a request's or a
file's rows is the same as for a table with one column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sklearn.exceptions import NotFittedError

from models import describing, probing
from models.encoders import first_part
from models.errors import SignatureRefused
from models.estimators import parts
from models.inputs import estimator_input
from models.manifest import ColumnSpec, Signature
from models.rules import is_empty_text
from models.samples import Sample

DEFAULT_COLUMN = "text"
# What the model is tried with: as many texts as rows of a table, but not more than this of very long ones.
TRIED_BYTES = 8 << 20
# So many bytes of text take longer than a number, so that timing with numbers' limits stays short: 8 MB.
BYTES_A_CELL = 2
LONGER = 4
# A longer example is no use to anyone who reads it.
EXAMPLE_CHARACTERS = 500
# Plausible texts for want of a sample.
SENTENCES = (
    "The parcel came two days late, and nobody answered my mail.",
    "Great service, I would order here again!",
    "The meeting is on Tuesday at ten.",
    "I do not know what to make of it.",
)


def takes_texts(estimator: Any) -> bool:
    """The step that sees the raw input is a text vectorizer."""
    return hasattr(first_part(estimator), "build_analyzer")


def may_take_texts(estimator: Any) -> bool:
    """There is a vectorizer somewhere inside, and nothing says that the input has columns."""
    named = hasattr(estimator, "feature_names_in_")
    return not named and any(hasattr(part, "build_analyzer") for part in parts(estimator))


def tried(estimator: Any, sample: Sample | None, column: str | None) -> tuple[Signature, pa.Table]:
    """The signature of a model of texts, and the texts that it was tried on.

    ``column`` is the name that the user gave. Raises SignatureRefused: ``missing_column``, ``text_column``
    (which of several?), ``bad_sample``, ``cannot_score_sample``.
    """
    name = _chosen(sample, column) if sample else column or DEFAULT_COLUMN
    rows = _texts(sample, name) if sample else pa.table({name: pa.array(SENTENCES)})
    rows = probing.repeated(rows, max(rows.num_rows, probing.PROBE_ROWS))
    spec = ColumnSpec(name=name, kind="string", dtype="string", accepts_null=False)
    error: Exception | None = None
    # a list comprehension takes both; `texts.str.lower()` in a step of the user's own takes only the second
    for form in ("texts", "series"):
        signature = Signature(kind="text", named=False, input=form, columns=(spec,))
        try:
            probing.run(estimator, estimator_input(rows, signature))
        except NotFittedError as not_fitted:
            raise probing.not_fitted_refusal() from not_fitted
        except Exception as failure:  # noqa: BLE001 - the estimator's own, raised again below
            error = error or failure
        else:
            return signature, rows
    raise SignatureRefused(
        "cannot_score_sample",
        f"The model failed on {rows.num_rows} texts of {name!r}: {type(error).__name__}: {error}. "
        "Give --sample FILE with texts as they were in training.",
    ) from error


def costs(rows: pa.Table, score: Callable[[Any], object]) -> tuple[float, float]:
    """Seconds that a text takes however short it is, and for each byte of it (UTF-8).

    From the texts as they are and LONGER times as long: what grows between them is the cost of length.
    """
    column = rows.column(0)
    longer = pc.binary_join_element_wise(*[column] * LONGER, " ")
    mean = float(pc.mean(pc.binary_length(column)).as_py())
    first, second = (_cost(pa.table({rows.column_names[0]: texts}), score) for texts in (column, longer))
    by_byte = max(0.0, second - first) / ((LONGER - 1) * mean)
    # timing is not exact; no row costs nothing
    return max(first / 100, first - by_byte * mean), by_byte


def _cost(rows: pa.Table, score: Callable[[Any], object]) -> float:
    width = max(1, rows.nbytes // rows.num_rows // BYTES_A_CELL)
    return probing.row_cost(width, lambda count: probing.repeated(rows, count), score)


def example(rows: pa.Table) -> dict[str, str]:
    """The first text, cut where it is very long."""
    return {rows.column_names[0]: str(rows.column(0)[0])[:EXAMPLE_CHARACTERS]}


def _chosen(sample: Sample, column: str | None) -> str:
    """The sample's column of texts: the one named, the only one there is, or the one called ``text``."""
    if column is not None:
        describing.check_sample_columns([column], sample)
        return column
    table = sample.table
    found = [name for name in table.column_names if pa.types.is_string(table.column(name).type)]
    if len(found) == 1:
        return str(found[0])
    if DEFAULT_COLUMN in found:
        return DEFAULT_COLUMN
    what = f"has several columns of text ({', '.join(found[:12])})" if found else "has no column of text"
    raise SignatureRefused(
        "text_column",
        f"The model takes bare texts, and the sample {what}. Name the texts' column with --text COLUMN, "
        "and what is predicted with --target COLUMN.",
    )


def _texts(sample: Sample, name: str) -> pa.Table:
    """Texts to try the model with: those that would be scored, so none that is missing or empty."""
    column = sample.table.column(name).drop_null()
    column = column.filter(pc.invert(is_empty_text(column))).slice(0, probing.VERIFIED_ROWS)
    if not len(column):
        raise SignatureRefused("bad_sample", f"The sample's column {name!r} has no text in its first rows.")
    lengths = pc.cumulative_sum(pc.cast(pc.binary_length(column), pa.int64()))
    some = pc.sum(pc.less_equal(lengths, TRIED_BYTES)).as_py()
    return pa.table({name: column.slice(0, max(some, 1))})

"""People in tables, with what training had and with what it had not, and transformers to draw for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from models.manifest import ColumnSpec, Signature

NUMBERS, WORDS = ["income", "score", "age", "rooms"], ["town", "plan"]
TYPES = {"income": "float64", "score": "float64", "age": "int64", "rooms": "int64"}


def people(rows: int, seed: int, *, odd: bool = False) -> pa.Table:
    """Numbers, some whole and some missing, words and booleans; with ``odd`` also what training had not."""
    random = np.random.default_rng(seed)
    towns = np.array(["Ulm", "Bern", "Graz", "Wien", None] + ["Ötzi", ""] * odd, dtype=object)
    numbers = {
        "income": np.where(random.random(rows) < 0.1, np.nan, random.normal(3000, 900, rows)),
        "score": random.normal(size=rows) * random.choice([1e-8, 1.0, 1e8] if odd else [1.0], rows),
        "age": random.integers(18, 90, rows).astype(float),
        "rooms": random.integers(0, 6 + 3 * odd, rows).astype(float),
    }
    columns = {name: pa.array(values, from_pandas=True) for name, values in numbers.items()}
    columns["town"] = pa.array(random.choice(towns, rows, p=None if odd else [0.4, 0.3, 0.1, 0.05, 0.15]))
    columns["plan"] = pa.array(random.choice(["a", "b", "c", "d"][: 3 + odd], rows))
    columns["member"] = pa.array(random.random(rows) < 0.5)
    return pa.table(columns)


def signature_of(missing: Any = "nan") -> Signature:
    """Of ``people``: a frame."""
    numbers = [ColumnSpec(name=name, kind="number", dtype=kind) for name, kind in TYPES.items()]
    words = [ColumnSpec(name=name, kind="string", dtype="string", missing=missing) for name in WORDS]
    member = ColumnSpec(name="member", kind="boolean", dtype="bool")
    return Signature(kind="table", named=True, input="frame", columns=(*numbers, *words, member))


def matrix_signature(columns: int) -> Signature:
    specs = tuple(ColumnSpec(name=f"x{index}", kind="number", dtype="float64") for index in range(columns))
    return Signature(kind="table", named=False, input="matrix", columns=specs)


TRAINING = people(150, 1)
LABELS = np.arange(150) % 2


PAIR = TRAINING.select(["score", "age"]).rename_columns(["x0", "x1"])


scalers = st.lists(
    st.sampled_from(
        [
            StandardScaler(),
            StandardScaler(with_mean=False),
            MinMaxScaler(),
            MinMaxScaler(feature_range=(-2, 3), clip=True),
            MaxAbsScaler(),
            RobustScaler(),
            RobustScaler(with_scaling=False),
            VarianceThreshold(),
            "passthrough",
        ]
    ),
    max_size=2,
)
fillers = st.builds(
    SimpleImputer,
    strategy=st.sampled_from(["mean", "median", "most_frequent", "constant"]),
    fill_value=st.sampled_from([None, 7]),
    add_indicator=st.booleans(),
)
one_hot = st.builds(
    OneHotEncoder,
    drop=st.sampled_from([None, "first", "if_binary"]),
    handle_unknown=st.sampled_from(["error", "ignore", "infrequent_if_exist"]),
    min_frequency=st.sampled_from([None, 0.12]),  # more would leave no column at all, which cannot be fitted
    sparse_output=st.booleans(),
)
ordinal = st.one_of(
    st.builds(OrdinalEncoder, min_frequency=st.sampled_from([None, 30])),
    st.builds(
        OrdinalEncoder,
        handle_unknown=st.just("use_encoded_value"),
        unknown_value=st.sampled_from([-1, np.nan]),
        encoded_missing_value=st.sampled_from([np.nan, -2]),
    ),
)


def chain(*steps: Any) -> Pipeline:
    return Pipeline([(str(number), step) for number, step in enumerate((*steps, "passthrough"))])


@st.composite
def column_transformers(draw: st.DrawFn, missing: str) -> ColumnTransformer:
    """For ``people``, who miss texts as ``missing`` says: not fitted yet."""
    numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4, unique=True))
    marker = None if missing == "none" else np.nan
    word_filler = draw(
        st.one_of(
            st.just("passthrough"),
            st.builds(
                SimpleImputer,
                missing_values=st.just(marker),
                strategy=st.sampled_from(["most_frequent", "constant"]),
                fill_value=st.sampled_from([None, "?"]),
            ),
        )
    )
    branches = [
        ("numbers", chain(draw(fillers), *draw(scalers)), numbers),
        ("words", chain(word_filler, draw(st.one_of(one_hot, ordinal))), WORDS),
        ("rooms", draw(st.one_of(one_hot, ordinal, st.just("passthrough"))), ["rooms"]),
        ("member", draw(st.sampled_from(["passthrough", "drop", OneHotEncoder()])), ["member"]),
    ]
    return ColumnTransformer(
        draw(st.permutations(branches)), sparse_threshold=draw(st.sampled_from([0.0, 1.0]))
    )

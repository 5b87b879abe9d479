"""Quantiles that are told from buckets, against numpy's of the amounts themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.meter.buckets import BUCKETS, SECONDS, SIZES, Scale

SHARES = st.sampled_from([0.5, 0.95, 0.99]) | st.floats(0, 1)


def amounts(scale: Scale, largest: float) -> st.SearchStrategy[list[float]]:
    edges = st.sampled_from(scale.upper_bounds()[:100].tolist())
    return st.lists(st.floats(scale.least, largest) | edges, min_size=1, max_size=60)


def counted(scale: Scale, found: list[float]) -> np.ndarray:
    """The buckets after these."""
    counts = np.zeros(BUCKETS, np.int64)
    for amount in found:
        counts[scale.bucket_of(amount)] += 1
    return counts


@given(durations=amounts(SECONDS, 3600), share=SHARES)
@example(durations=[SECONDS.least], share=0.5)
@example(durations=[3600.0], share=0.99)
def test_a_quantile_of_seconds_is_at_most_five_percent_off(durations: list[float], share: float) -> None:
    told = SECONDS.quantile(counted(SECONDS, durations), share)
    assert told == pytest.approx(np.quantile(durations, share, method="inverted_cdf"), rel=0.05)


@given(sizes=amounts(SIZES, 1e9), share=SHARES)
@example(sizes=[SIZES.least], share=0.5)
@example(sizes=[1e9], share=0.99)
def test_a_quantile_of_sizes_is_at_most_ten_percent_off(sizes: list[float], share: float) -> None:
    told = SIZES.quantile(counted(SIZES, sizes), share)
    assert told == pytest.approx(np.quantile(sizes, share, method="inverted_cdf"), rel=0.1 + 1e-9)


@pytest.mark.parametrize("scale", [SECONDS, SIZES])
@given(amount=st.floats(0, 1.7e308))
def test_every_amount_lies_in_its_bucket(scale: Scale, amount: float) -> None:
    bucket, bounds = scale.bucket_of(amount), scale.upper_bounds()
    assert 0 <= bucket < BUCKETS
    assert bucket == BUCKETS - 1 or amount <= bounds[bucket] * (1 + 1e-9)
    assert bucket == 0 or amount >= bounds[bucket - 1] * (1 - 1e-9)


@pytest.mark.parametrize(("scale", "largest"), [(SECONDS, 3600), (SIZES, 1e9)])
def test_the_last_bucket_is_beyond_what_is_told(scale: Scale, largest: float) -> None:
    assert scale.upper_bounds()[-1] > largest
    assert scale.bucket_of(largest) < BUCKETS - 1
    assert scale.bucket_of(largest * 1000) == BUCKETS - 1


def test_nothing_has_no_quantile() -> None:
    assert SECONDS.quantile(counted(SECONDS, []), 0.5) is None

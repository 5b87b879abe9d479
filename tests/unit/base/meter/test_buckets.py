"""Quantiles that are told from buckets, against numpy's of the durations themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.meter.buckets import BUCKETS, SHORTEST_SECONDS, bucket_of, quantile, upper_bounds

DURATIONS = st.lists(
    st.floats(SHORTEST_SECONDS, 3600) | st.sampled_from(upper_bounds()[:100].tolist()),
    min_size=1,
    max_size=60,
)


def counted(durations: list[float]) -> np.ndarray:
    """The buckets after these."""
    counts = np.zeros(BUCKETS, np.int64)
    for seconds in durations:
        counts[bucket_of(seconds)] += 1
    return counts


@given(durations=DURATIONS, share=st.sampled_from([0.5, 0.95, 0.99]) | st.floats(0, 1))
@example(durations=[SHORTEST_SECONDS], share=0.5)
@example(durations=[3600.0], share=0.99)
def test_a_quantile_is_at_most_five_percent_off(durations: list[float], share: float) -> None:
    told = quantile(counted(durations), share)
    assert told == pytest.approx(np.quantile(durations, share, method="inverted_cdf"), rel=0.05)


@given(seconds=st.floats(0, 1e9))
def test_every_duration_lies_in_its_bucket(seconds: float) -> None:
    bucket, bounds = bucket_of(seconds), upper_bounds()
    assert 0 <= bucket < BUCKETS
    assert bucket == BUCKETS - 1 or seconds <= bounds[bucket] * (1 + 1e-9)
    assert bucket == 0 or seconds >= bounds[bucket - 1] * (1 - 1e-9)


def test_the_last_bucket_is_beyond_an_hour() -> None:
    assert upper_bounds()[-1] > 3600
    assert bucket_of(3600) < BUCKETS - 1
    assert bucket_of(1e6) == BUCKETS - 1


def test_nothing_has_no_quantile() -> None:
    assert quantile(counted([]), 0.5) is None

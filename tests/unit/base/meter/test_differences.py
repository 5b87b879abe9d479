"""Differences of several processes together, against numpy's figures of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.meter import spread
from base.meter.differences import Differences
from base.meter.layout import WINDOW_SECONDS
from base.meter.recorder import Recorder
from base.meter.tally import Measured, Reading, Tally, read

NOW = 3600.0
SERIES = spread.series("change", "house@live", 0, "price")
SIZES = st.one_of(st.just(0.0), st.floats(1e-8, 1e9), st.floats(-1e9, -1e-8))


def measured(*processes: list[float], after: float = 0.0) -> Measured:
    """What they counted, looked at so many seconds later."""
    recorders = [Recorder(None) for _ in processes]
    for recorder, differences in zip(recorders, processes, strict=True):
        for difference in differences:
            recorder.record_difference(SERIES, "house@2", difference, now=NOW)
    found = [read(recorder.mapped, NOW + after) for recorder in recorders]
    return Reading.of([part for part in found if part], 2e9).series[SERIES, "house@2"]


@given(one=st.lists(SIZES, min_size=1, max_size=40), other=st.lists(SIZES, min_size=1, max_size=40))
@example(one=[0.0], other=[0.0])
@example(one=[-5.0], other=[5.0])
def test_two_processes_are_added_up(one: list[float], other: list[float]) -> None:
    together, sizes = np.array([*one, *other]), np.abs([*one, *other])
    both = measured(one, other)
    for tally in (both.total, both.recent):
        found = Differences(tally)
        assert (found.rows, found.unchanged) == (len(together), int((together == 0).sum()))
        assert found.mean == pytest.approx(together.mean(), rel=1e-9, abs=sizes.sum() * 1e-12)
        assert found.mean_absolute == pytest.approx(sizes.mean(), rel=1e-9)
        assert found.quantile_absolute(1.0) == sizes.max()
        for share in (0.5, 0.95):
            truth = np.quantile(sizes, share, method="inverted_cdf")
            assert found.quantile_absolute(share) == pytest.approx(truth, rel=0.1 + 1e-9)


def test_after_the_window_only_the_total_knows_them() -> None:
    later = measured([1.0, -3.0], [2.0], after=WINDOW_SECONDS)
    assert Differences(later.recent).rows == 0
    assert Differences(later.recent).mean is None
    assert Differences(later.recent).quantile_absolute(1.0) is None
    assert Differences(later.total).mean == 0.0
    assert Differences(later.total).quantile_absolute(1.0) == 3.0


def test_what_is_too_large_or_too_small_for_a_bucket_is_told_by_the_largest() -> None:
    assert Differences(measured([1e-30, 1e-20]).total).quantile_absolute(0.5) == 1e-20
    assert Differences(measured([1e300]).total).quantile_absolute(1.0) == 1e300
    assert Differences(measured([1.7e308, 1.7e308]).total).mean is None, "no number is so large"


def test_nothing_has_no_differences() -> None:
    nothing = Differences(Tally.of([]))
    assert (nothing.rows, nothing.mean, nothing.mean_absolute) == (0, None, None)


@pytest.mark.parametrize("target", [None, "price", "living area, m²", "x" * 500, "ä" * 500, "tab\tand\nline"])
def test_a_target_stands_in_the_name_as_far_as_there_is_room(target: str | None) -> None:
    longest, recorder = "n" * 100, Recorder(None)
    alias = f"{longest}@{longest}"
    series = spread.series("change", alias, 7, target)
    recorder.record_difference(series, f"{longest}@999999999", 1.0, now=NOW)
    found = read(recorder.mapped, NOW)
    assert found is not None
    [(route, model)] = [key for key in found.series if spread.parts(key[0])]
    assert model == f"{longest}@999999999"
    part = spread.parts(route)
    assert part is not None
    assert (part.kind, part.alias) == ("change", alias)
    if target is None:
        assert part.target is None
    else:
        assert part.place == 7
        assert part.target is not None
        assert " ".join(target.split()).startswith(part.target)

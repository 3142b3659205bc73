"""What is drawn of a long series."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdoctor.report.downsample import keep


def test_a_spike_of_one_point_survives_in_a_million() -> None:
    steps = np.arange(1_000_000, dtype=float)
    values = np.random.default_rng(0).normal(2.0, 0.01, len(steps))
    values[654_321] = 9.0
    index = keep(steps, values, 2000)
    assert 654_321 in index
    assert len(index) <= 4000


def test_both_sides_of_every_drop_survive() -> None:
    steps = np.arange(300_000, dtype=float)
    lr = 0.1 * 0.1 ** np.searchsorted([90_001, 180_007, 270_013], steps, side="right")
    index = set(keep(steps, lr, 500))
    for milestone in (90_001, 180_007, 270_013):
        assert {milestone - 1, milestone} <= index


def test_the_corner_at_the_end_of_a_warmup_survives() -> None:
    steps = np.arange(100_000, dtype=float)
    lr = np.minimum(steps / 1237, 1.0) * 3e-4
    assert 1237 in keep(steps, lr, 200)


def test_stretches_that_are_not_finite_keep_their_ends() -> None:
    steps = np.arange(50_000, dtype=float)
    values = np.sin(steps / 1000)
    values[20_000:20_100] = np.nan
    values[30_000] = np.inf
    index = set(keep(steps, values, 1000))
    assert {20_000, 20_099, 30_000} <= index
    assert 0 in index
    assert 49_999 in index


def test_a_short_series_is_drawn_whole() -> None:
    steps = np.arange(50, dtype=float)
    assert len(keep(steps, steps, 1000)) == 50


def test_a_series_without_a_finite_value_is_no_problem() -> None:
    steps = np.arange(5000, dtype=float)
    assert len(keep(steps, np.full(5000, np.nan), 100)) == 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=0, max_size=400),
    st.integers(min_value=8, max_value=60),
)
def test_indices_are_sorted_unique_bounded_and_hold_the_extremes(values: list[float], budget: int) -> None:
    array = np.asarray(values, dtype=float)
    index = keep(np.arange(len(array), dtype=float), array, budget)
    assert list(index) == sorted(set(index))
    assert len(index) <= 2 * budget
    finite = array[np.isfinite(array)]
    if len(finite):
        kept = array[index]
        assert np.nanmax(kept[np.isfinite(kept)]) == finite.max()
        assert np.nanmin(kept[np.isfinite(kept)]) == finite.min()

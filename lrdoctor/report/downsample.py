"""Fewer points, same picture: which points of a series to draw.

MinMaxLTTB (Van Der Donckt et al. 2023) chooses among the extremes of every bin, so a spike of one point survives.
Beside it some points are always kept: the smallest and the largest, those where the series leaves the straight line
(the corners of a schedule), and the first and last of every stretch that is not finite.
"""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray

_MIN_POINTS = 8
_CORNER_SHARE = 4  # at most one point in four of the budget is spent on corners
_CORNER_FACTOR = 10.0  # a corner leaves the line ten times as far as the median point does; chosen by us


def keep(steps: FloatArray, values: FloatArray, budget: int) -> IntArray:
    """Sorted indices of about `budget` points of the (T,) series; at most 2 * budget, all of them where T <= budget."""
    if len(values) <= max(budget, _MIN_POINTS):
        return np.arange(len(values), dtype=np.int64)
    finite = np.flatnonzero(np.isfinite(values) & np.isfinite(steps))
    broken = _ends_of_stretches(~np.isfinite(values), budget // _CORNER_SHARE)
    if len(finite) <= max(budget, _MIN_POINTS):
        return np.union1d(finite, broken).astype(np.int64)
    thinned = finite[_thin(steps[finite], values[finite], budget)]
    corners = finite[_corners(steps[finite], values[finite], budget // _CORNER_SHARE)]
    chosen = values[finite]
    ends = finite[[0, -1, int(np.argmin(chosen)), int(np.argmax(chosen))]]
    return np.unique(np.concatenate([thinned, corners, broken, ends])).astype(np.int64)


def _thin(steps: FloatArray, values: FloatArray, budget: int) -> IntArray:
    from tsdownsample import MinMaxLTTBDownsampler

    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]
    chosen = downsampler.downsample(np.ascontiguousarray(steps), np.ascontiguousarray(values), n_out=budget)
    return np.asarray(chosen, dtype=np.int64)


def _corners(steps: FloatArray, values: FloatArray, limit: int) -> IntArray:
    """The points that leave the line through their neighbours furthest, in value or in its logarithm."""
    off = _off_the_line(steps, values)
    if np.all(values > 0):
        off = np.maximum(off, _off_the_line(steps, np.log(values)))
    off[off <= _CORNER_FACTOR * np.median(off) + 1e-9] = 0.0
    order = np.argsort(off)[::-1][:limit]
    return np.asarray(order[off[order] > 0.0], dtype=np.int64)


def _off_the_line(steps: FloatArray, values: FloatArray) -> FloatArray:
    """(T,) distance of each point from the line through its neighbours, as a share of the range; 0 at the ends."""
    off = np.zeros(len(values))
    with np.errstate(over="ignore"):
        span = float(np.ptp(values))
    if 0.0 < span < np.inf and len(values) > 2:
        width = np.maximum(steps[2:] - steps[:-2], np.finfo(np.float64).tiny)
        part = (steps[1:-1] - steps[:-2]) / width
        off[1:-1] = np.abs(values[1:-1] - (values[:-2] + part * (values[2:] - values[:-2]))) / span
    return off


def _ends_of_stretches(broken: np.ndarray[tuple[int], np.dtype[np.bool_]], limit: int) -> IntArray:
    """First and last index of each run of True, at most `limit` of them."""
    edges = np.diff(np.concatenate([[0], broken.astype(np.int8), [0]]))
    ends = np.concatenate([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1])
    return np.unique(ends)[: max(limit, 2)].astype(np.int64)

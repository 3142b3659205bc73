"""Least squares for a handful of numbers, many times over: it gives up early where no exact fit is in sight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lrdoctor.model.arrays import FloatArray

Residual = Callable[[FloatArray], FloatArray]

_MAX_ITERATIONS = 60
_MAX_DAMPINGS = 7
_PATIENCE = 5  # iterations before a fit is judged
_HOPELESS = 0.02  # residuals this large that hardly shrink any more belong to the wrong family
_SLOW = 0.05  # share of the squared error that an iteration must take away to be worth another
_CONVERGED = 1e-13
_STEP = 1e-7


def minimise(residual: Residual, start: FloatArray) -> FloatArray:
    """The x (p,) near `start` that makes the sum of squares of `residual(x)` (n,) smallest.

    Levenberg and Marquardt's method with forward differences. Residuals are expected to be of order one or smaller,
    and finite everywhere.
    """
    x = start
    off = residual(x)
    cost = float(off @ off)
    damping = 1e-3
    for iteration in range(_MAX_ITERATIONS):
        slopes = _jacobian(residual, x, off)
        curvature, gradient = slopes.T @ slopes, slopes.T @ off
        scale = np.maximum(np.diag(curvature), 1e-12)
        for _ in range(_MAX_DAMPINGS):
            step = np.linalg.lstsq(curvature + damping * np.diag(scale), -gradient, rcond=None)[0]
            tried = residual(x + step)
            reached = float(tried @ tried)
            if reached < cost:
                break
            damping *= 10.0
        else:
            return x
        gain = (cost - reached) / cost
        x, off, cost, damping = x + step, tried, reached, max(0.1 * damping, 1e-12)
        slow = iteration >= _PATIENCE and gain < _SLOW and float(np.abs(off).max()) > _HOPELESS
        if slow or gain < _CONVERGED or cost == 0.0:
            return x
    return x


def _jacobian(residual: Residual, x: FloatArray, off: FloatArray) -> FloatArray:
    """(n, p) by forward differences."""
    slopes = np.empty((len(off), len(x)))
    for column, value in enumerate(x.tolist()):
        width = _STEP * max(abs(value), 1.0)
        moved = x.copy()
        moved[column] = value + width
        slopes[:, column] = (residual(moved) - off) / width
    return slopes

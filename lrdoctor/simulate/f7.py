"""The loss law of language-model pre-training under any learning-rate schedule, in closed form.

With n updates done, u_i = lr of update i / reference lr, S(n) = sum_{i<n} u_i / 1000, u_{-1} = 0:

    L(n) = L0 + A * P(n)^-alpha + B * N(n)
    P(n) = sum_{i<n} u_i^zeta / 1000                                      progress of the signal
    N(n) = sum_{i<n} (u_i^delta - u_{i-1}^delta) * C d_i / (1 + C d_i)     height of the noise floor, d_i = S(n) - S(i)

The signal's clock is not proportional to the lr (zeta about .6), neither is the noise floor (delta .4 to .8), which
relaxes towards its new level at a rate set by C once the lr changes. Losses are nats per token.
"""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.grid import Grid

NAMES = ("L0", "lnA", "alpha", "lnB", "lnC", "delta", "zeta")
"""The order of the parameters in every vector and matrix of this package."""

_BLOCK = 2**17  # elements of the largest temporary: 1 MiB stays in the cache
_FLOOR = 1e-12  # ln u of an update with lr 0, whose power is 0 anyway


def loss(theta: FloatArray, grid: Grid) -> FloatArray:
    """Losses (N, M) of the parameter vectors `theta` (N, 7) at the M points of the grid; (M,) for one vector (7,)."""
    rows = np.atleast_2d(theta)
    block = max(1, _BLOCK // (len(grid.points) * len(grid.n)))
    values = [_block(rows[start : start + block], grid) for start in range(0, len(rows), block)]
    return np.concatenate(values) if theta.ndim > 1 else values[0][0]


def _block(theta: FloatArray, grid: Grid) -> FloatArray:
    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = (column[:, None] for column in theta.T)
    each = np.diff(grid.n) / 1000.0 * _power(grid.mean_u, zeta)
    progress = np.cumsum(each, axis=1)[:, grid.points - 1]  # no point is at knot 0
    change = np.diff(_power(grid.u, delta), prepend=0.0, axis=1)
    noise = (_relaxation(grid, np.exp(ln_c)[:, :, None])[0] @ change[:, :, None])[:, :, 0]
    return np.asarray(floor + np.exp(ln_a) * progress**-alpha + np.exp(ln_b) * noise)


def loss_and_jacobian(theta: FloatArray, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Losses (M,) and their derivatives (M, 7) by the parameters, in the order of NAMES."""
    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = theta
    progress, progress_by_zeta = (value[grid.points] for value in _progress(grid, zeta))
    signal = np.exp(ln_a) * progress**-alpha
    ln_u = np.log(np.maximum(grid.u, _FLOOR))
    height = _power(grid.u, delta)
    relaxed, scaled, rest, bend = _relaxation(grid, float(np.exp(ln_c)))
    relaxed_by_ln_c = scaled * rest * rest - bend * (2.0 - 3.0 * scaled * rest)
    change = np.diff(height, prepend=0.0)
    scale = np.exp(ln_b)
    noise = scale * (relaxed @ change)
    columns = (
        np.ones_like(signal),
        signal,
        -signal * np.log(progress),
        noise,
        scale * (relaxed_by_ln_c @ change),
        scale * (relaxed @ np.diff(height * ln_u, prepend=0.0)),
        -alpha * signal / progress * progress_by_zeta,
    )
    return floor + signal + noise, np.stack(columns, axis=1)


def _power(u: FloatArray, exponent: float | FloatArray) -> FloatArray:
    return np.asarray(np.where(u > 0.0, np.maximum(u, _FLOOR) ** exponent, 0.0), dtype=np.float64)


def _progress(grid: Grid, zeta: float) -> tuple[FloatArray, FloatArray]:
    """P at every knot (J,) and its derivative by zeta, from the mean lr of each stretch."""
    each = np.diff(grid.n) * _power(grid.mean_u, zeta) / 1000.0
    by_zeta = each * np.log(np.maximum(grid.mean_u, _FLOOR))
    return np.concatenate([[0.0], np.cumsum(each)]), np.concatenate([[0.0], np.cumsum(by_zeta)])


def _relaxation(grid: Grid, rate: float | FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """C d / (1 + C d) of the changes to each knot (columns) at each point (rows), and the parts it is made of.

    `rate` is C, or (N, 1, 1) of them for N such matrices. The parts are C d, 1 / (1 + C d) and the second order.

    The changes of one stretch act from different S: their spread enters to second order.
    """
    counts = grid.points[:, None] >= np.arange(len(grid.n))[None, :]
    since = np.where(counts, np.maximum(grid.S[grid.points][:, None] - grid.onset[None, :], 0.0), 0.0)
    scaled = rate * since
    rest = 1.0 / (1.0 + scaled)
    bend = (rate * rate) * np.where(counts, grid.spread[None, :], 0.0) * (rest * rest * rest)
    return scaled * rest - bend, scaled, rest, bend


def brute_force(theta: FloatArray, u: FloatArray, n: int) -> float:
    """The law after `n` updates by its definition, update for update: the reference the compressed form is held to."""
    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = theta
    used = u[:n]
    before = np.concatenate([[0.0], np.cumsum(used)]) / 1000.0
    since = before[-1] - before[:-1]
    change = np.diff(_power(used, delta), prepend=0.0)
    noise = float(np.sum(change * (1.0 - 1.0 / (1.0 + np.exp(ln_c) * since))))
    progress = float(np.sum(_power(used, zeta))) / 1000.0
    return float(floor + np.exp(ln_a) * progress**-alpha + np.exp(ln_b) * noise)

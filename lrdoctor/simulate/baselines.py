"""Two published loss laws, fitted as their authors do: to the runs at hand alone, without a library of other models.

Both make the height of the noise linear in the lr. With u = lr / the run's peak, S(n) the sum of u in thousands, and
D_k = u_{k-1} - u_k the falls of u once the peak has been reached:

    Multi-Power Law (Luo et al.):  L0 + A S^-alpha - B sum_k D_k (1 - (1 + C u_k^-gamma (S - S_k))^-beta)
    momentum law (Tissue et al.):  L0 + A S^-alpha - C sum_k D_k (1 - lambda^(n - k)) / (1 - lambda) / 1000

where u stands for their lr: a change of units, which A, B and C take up. lambda is .999, the value of the paper.
"""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.grid import Grid

MULTI_POWER_NAMES = ("L0", "lnA", "alpha", "lnB", "lnC", "beta", "gamma")
MOMENTUM_NAMES = ("L0", "lnA", "alpha", "lnC")

DECAY = 0.999
_LEAST_U = 1e-4  # an lr of 0 has no negative power
_AT_PEAK = 0.999


def multi_power(theta: FloatArray, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Losses (M,) and their derivatives (M, 7) by MULTI_POWER_NAMES."""
    floor, ln_a, alpha, ln_b, ln_c, beta, gamma = theta
    signal, by_signal = _signal(grid, ln_a, alpha)
    ln_u = np.log(np.maximum(grid.u, _LEAST_U))
    since = np.maximum(grid.S[grid.points][:, None] - grid.onset[None, :], 0.0)
    scaled = np.exp(ln_c - gamma * ln_u)[None, :] * since
    rest = (1.0 + scaled) ** -beta
    falls = np.exp(ln_b) * _falls(grid)
    slope = beta * rest * scaled / (1.0 + scaled)
    gain = (1.0 - rest) @ falls
    columns = (*by_signal, -gain, -slope @ falls, -(rest * np.log1p(scaled)) @ falls, slope @ (falls * ln_u))
    return floor + signal - gain, np.stack(columns, axis=1)


def momentum(theta: FloatArray, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """Losses (M,) and their derivatives (M, 4) by MOMENTUM_NAMES."""
    floor, ln_a, alpha, ln_c = theta
    signal, by_signal = _signal(grid, ln_a, alpha)
    age = grid.n[grid.points][:, None] - grid.n[None, :]
    count = np.diff(grid.n, prepend=grid.n[0] - 1.0)  # a stretch's changes come one an update, evenly
    left = DECAY ** np.maximum(age, 0.0) * (1.0 - DECAY**count) / (1.0 - DECAY) / count
    area = np.where(age >= 0.0, (1.0 - left) / (1.0 - DECAY), 0.0) @ _falls(grid) / 1000.0
    gain = np.exp(ln_c) * area
    return floor + signal - gain, np.stack((*by_signal, -gain), axis=1)


def _signal(grid: Grid, ln_a: float, alpha: float) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
    """A S^-alpha (M,) and the first three columns of the derivatives."""
    total = grid.S[grid.points]
    signal = np.exp(ln_a) * total**-alpha
    return signal, (np.ones_like(signal), signal, -signal * np.log(total))


def _falls(grid: Grid) -> FloatArray:
    """(J,) falls of u to each knot, none before the peak is reached: the warmup is no part of these laws' noise."""
    reached = np.maximum.accumulate(grid.u) >= _AT_PEAK * float(grid.u.max())
    return np.concatenate([[0.0], np.where(reached[:-1], -np.diff(grid.u), 0.0)])

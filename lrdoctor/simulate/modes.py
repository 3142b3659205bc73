"""The loss law as modes of a noisy quadratic model, stepped update by update; here in float64, as the reference.

P^-alpha is an integral of exp(-k P) over rates k with density k^(alpha - 1) / Gamma(alpha), and 1 / (1 + C d) one of
exp(-C y d) over y with density exp(-y). With one mode a node both sums are stepped alike: in an update with relative
lr u a mode moves by 1 - exp(-rate x clock) of its way to a target,

    signal modes: clock u^zeta, target 1; the loss holds weight x (1 - state)
    noise modes:  clock u, target u^delta; the loss holds weight x state

from state 0. (States that start at 0 keep the slowest modes exact in single precision.) What is stepped is the mean
over the noise: a sample of it would say nothing of the scatter between runs, which is 3 to 30 times smaller.

Stepping costs far more than the closed form of f7.py and gives the same; it is the ground for what has no closed form,
see mean_field.py. An update of one mode of one draw under one schedule is what `make bench-sim` counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray

SIGNAL_MODES, NOISE_MODES = 40, 16
_SIGNAL_RATES = (1e-8, 40.0)
"""Least rate x largest progress and largest rate x smallest progress: without the low tail the loss is off by .007."""

_LEAST_PROGRESS = 0.2  # thousands of updates at the peak; the loss is exact from there on
_NOISE_RATES = (1e-4, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """N draws of K modes: `rate` (N, K) an update and `weight` (N, K); `floor` (N,); exponents of u, (N,) each.

    The first `signal` of the K are signal modes.
    """

    floor: FloatArray
    rate: FloatArray
    weight: FloatArray
    zeta: FloatArray
    delta: FloatArray
    signal: int = SIGNAL_MODES

    @property
    def end(self) -> FloatArray:
        """(N,) loss of modes in state 0: all of the signal is left, no noise is there."""
        return np.asarray(self.floor + self.weight[:, : self.signal].sum(axis=1))

    @property
    def sign(self) -> FloatArray:
        """(K,) -1 for a signal mode, 1 for a noise mode: the loss is `end` + sum of sign x weight x state."""
        return np.where(np.arange(self.rate.shape[1]) < self.signal, -1.0, 1.0)


Step = Callable[[Modes, FloatArray], FloatArray]
"""Modes of N draws and schedules u (S, T), relative lr an update -> losses (S, N) after T updates."""


def spectrum(theta: FloatArray, progress: float) -> Modes:
    """The modes of laws `theta` (N, 7), for schedules whose sum of u is at most `progress` thousand updates."""
    from scipy.special import gammaln

    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = (column[:, None] for column in np.atleast_2d(theta).T)
    low, high = np.log(_SIGNAL_RATES[0] / progress), np.log(_SIGNAL_RATES[1] / _LEAST_PROGRESS)
    cell = (high - low) / SIGNAL_MODES
    ln_rate = low + cell * (np.arange(SIGNAL_MODES) + 0.5)[None, :]
    signal = cell * np.exp(ln_a + alpha * ln_rate - gammaln(alpha))
    signal[:, :1] += np.exp(ln_a + alpha * low - gammaln(alpha + 1.0))  # all that is slower still
    nodes, quadrature = np.polynomial.legendre.leggauss(NOISE_MODES)
    low, high = np.log(_NOISE_RATES[0]), np.log(_NOISE_RATES[1])
    y = np.exp(0.5 * ((high - low) * nodes + high + low))
    density = quadrature * y * np.exp(-y)
    noise = np.exp(ln_b) * (density / density.sum())[None, :]
    rate = np.concatenate([np.exp(np.broadcast_to(ln_rate, signal.shape)), np.exp(ln_c) * y[None, :]], axis=1)
    weight = np.concatenate([signal, noise], axis=1)
    return Modes(floor[:, 0], rate / 1000.0, weight, zeta[:, 0], delta[:, 0])


def step_reference(modes: Modes, u: FloatArray) -> FloatArray:
    """`Step` in float64, one update after another for all draws and modes of a schedule at once."""
    signal = np.arange(modes.rate.shape[1]) < modes.signal
    losses = np.empty((len(u), len(modes.floor)))
    for row, schedule in zip(losses, u, strict=True):
        state = np.zeros_like(modes.rate)
        for now in schedule.tolist():
            clock = np.where(signal, (now**modes.zeta)[:, None] if now > 0.0 else 0.0, now)
            target = np.where(signal, 1.0, (now**modes.delta)[:, None] if now > 0.0 else 0.0)
            state -= (target - state) * np.expm1(-modes.rate * clock)
        row[:] = modes.end + np.sum(modes.sign * modes.weight * state, axis=1)
    return losses

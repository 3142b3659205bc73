"""The modes stepped by code compiled for this CPU: single precision, states in the first-level cache, all cores.

A job is one schedule and a tile of draws; the innermost loop runs over the draws of the tile, so that it vectorises
however few modes there are.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.modes import Modes

SLOW = 3e-3
"""Largest rate x u of a mode for which two terms of its series are good to 1e-6 of its move."""

_TILE = 64
_LN_ZERO = -60.0  # ln u of an lr of 0, whose powers then are 0

LARGEST = 0.5
"""Largest rate x u of a mode: its series is good to 2e-5 there. A faster mode is held at it, and is at its target
within a few updates all the same."""


@njit(parallel=True, fastmath=True, cache=True)
def _step(u, ln_u, rate, weight, exponents, signal, slow_signal, slow):  # type: ignore[no-untyped-def]  # compiled
    """u, ln u (S, T); rate, weight (tiles, K, 64); exponents (tiles, 2, 64) -> sum of weight x state (S, tiles, 64).

    Modes are sorted by rate within signal and noise; those below `slow_signal`, and from `signal` to `slow`, are SLOW.
    """
    schedules, steps = u.shape
    tiles, modes, size = rate.shape
    sums = np.zeros((schedules, tiles, size), dtype=np.float32)
    one = np.float32(1.0)
    for job in prange(schedules * tiles):
        s, tile = job // tiles, job % tiles
        pace, zeta, delta = rate[tile], exponents[tile, 0], exponents[tile, 1]
        state = np.zeros((modes, size), dtype=np.float32)
        progress = np.empty(size, dtype=np.float32)
        height = np.empty(size, dtype=np.float32)
        for step in range(steps):
            now, ln_now = u[s, step], ln_u[s, step]
            for d in range(size):
                progress[d] = _power(ln_now * zeta[d])
                height[d] = _power(ln_now * delta[d])
            for k in range(slow_signal):
                for d in range(size):
                    state[k, d] += (one - state[k, d]) * _small_part(pace[k, d] * progress[d])
            for k in range(slow_signal, signal):
                for d in range(size):
                    state[k, d] += (one - state[k, d]) * _part(pace[k, d] * progress[d])
            for k in range(signal, slow):
                for d in range(size):
                    state[k, d] += (height[d] - state[k, d]) * _small_part(pace[k, d] * now)
            for k in range(slow, modes):
                for d in range(size):
                    state[k, d] += (height[d] - state[k, d]) * _part(pace[k, d] * now)
        for k in range(modes):
            for d in range(size):
                sums[s, tile, d] += weight[tile, k, d] * state[k, d]
    return sums


@njit(inline="always", fastmath=True)
def _small_part(x):  # type: ignore[no-untyped-def]  # compiled
    """The same for 0 <= x <= SLOW, where most modes are."""
    return x - x * x * np.float32(0.5)


@njit(inline="always", fastmath=True)
def _part(x):  # type: ignore[no-untyped-def]  # compiled
    """1 - exp(-x) for 0 <= x <= LARGEST, by its series: what vectorises where a call of exp does not."""
    y = np.float32(1.0) - x * np.float32(1.0 / 5.0)
    y = np.float32(1.0) - x * np.float32(1.0 / 4.0) * y
    y = np.float32(1.0) - x * np.float32(1.0 / 3.0) * y
    y = np.float32(1.0) - x * np.float32(1.0 / 2.0) * y
    return x * y


@njit(inline="always", fastmath=True)
def _power(x):  # type: ignore[no-untyped-def]  # compiled
    """exp(x) for x <= 0 by a short series and eight squarings, to 2e-5: again something that vectorises."""
    x = x * np.float32(1.0 / 256.0)
    y = np.float32(1.0) + x * np.float32(0.5) * (np.float32(1.0) + x * np.float32(1.0 / 3.0))
    y = np.float32(1.0) + x * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    return y * y


def step_compiled(modes: Modes, u: FloatArray) -> FloatArray:
    """`Step` on the CPU, equal to the reference to 2e-4."""
    rate = np.minimum(modes.rate, LARGEST / max(float(u.max()), 1.0))
    ln_u = np.log(np.maximum(u, np.exp(_LN_ZERO)))
    exponents = np.stack([modes.zeta, modes.delta], axis=1)
    slow = rate.max(axis=0) * max(float(u.max()), 1.0) <= SLOW
    sums = _step(
        np.asarray(u, dtype=np.float32),
        np.asarray(ln_u, dtype=np.float32),
        _tiled(rate),
        _tiled(modes.sign * modes.weight),
        _tiled(exponents),
        modes.signal,
        int(slow[: modes.signal].sum()),
        modes.signal + int(slow[modes.signal :].sum()),
    )
    return np.asarray(modes.end + sums.reshape(len(u), -1)[:, : len(modes.floor)])


def _tiled(values: FloatArray) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """(N, K) -> (tiles, K, 64) in single precision, the last tile filled up with the last draw."""
    short = -len(values) % _TILE
    filled = np.concatenate([values, np.repeat(values[-1:], short, axis=0)])
    tiles = filled.reshape(-1, _TILE, values.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(tiles, dtype=np.float32)

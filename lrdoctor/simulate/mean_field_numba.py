"""The moments stepped by code compiled for this CPU: single precision, states in the first-level cache, all cores.

Modes move independently, so a job is one schedule and a tile of modes, of whichever draws.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.mean_field import Drive, Optimizer, Quadratic, course

_TILE = 128

_MATH = {"contract", "nnan", "ninf", "nsz", "arcp"}
"""All of fast math but a free order of sums: the part of a move that rounding cuts off would be optimised away."""


@njit(parallel=True, fastmath=_MATH, error_model="numpy", cache=True)
def _step(columns, modes, beta2, eps, adam, nesterov):  # type: ignore[no-untyped-def]  # compiled
    """columns (S, T, 6) of a `Course`; h, noise, start as modes (tiles, 3, 128) -> E x^2 at the end (S, tiles, 128)."""
    schedules, steps = columns.shape[0], columns.shape[1]
    tiles, size = modes.shape[0], modes.shape[2]
    ends = np.empty((schedules, tiles, size), dtype=np.float32)
    one, two = np.float32(1.0), np.float32(2.0)
    for job in prange(schedules * tiles):
        s, tile = job // tiles, job % tiles
        curvature, noise = modes[tile, 0], modes[tile, 1]
        xx = modes[tile, 2].copy()
        xv = np.zeros(size, dtype=np.float32)
        vv = np.zeros(size, dtype=np.float32)
        second = np.zeros(size, dtype=np.float32)
        cut = np.zeros(size, dtype=np.float32)
        for t in range(steps):
            lr, quiet, beta = columns[s, t, 0], columns[s, t, 1], columns[s, t, 2]
            fresh, decay, correction = columns[s, t, 3], columns[s, t, 4], columns[s, t, 5]
            kept = one - decay
            for d in range(size):
                h, x = curvature[d], xx[d]
                slope = h * xv[d]
                grad = h * h * x + noise[d] * quiet
                cross = beta * slope + fresh * grad
                v = beta * beta * vv[d] + fresh * (two * beta * slope + fresh * grad)
                xv_now = beta * xv[d] + fresh * h * x
                direction, power, along, rate = xv_now, v, v, lr
                if nesterov:
                    direction = h * x + beta * xv_now
                    power = grad + two * beta * cross + beta * beta * v
                    along = cross + beta * v
                if adam:
                    second[d] = beta2 * second[d] + (one - beta2) * grad
                    rate = lr / (np.sqrt(second[d] * correction) + eps)
                step = rate * (rate * power - two * kept * direction) - decay * (one + kept) * x - cut[d]
                reached = x + step
                cut[d] = (reached - x) - step
                xx[d] = reached
                xv[d] = kept * xv_now - rate * along
                vv[d] = v
        ends[s, tile] = xx
    return ends


def step_moments_compiled(quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> FloatArray:
    """`StepMoments` on the CPU, equal to the reference to 2e-4."""
    h = np.atleast_2d(quadratic.h)
    modes = np.stack([np.broadcast_to(each, h.shape).ravel() for each in (h, quadratic.noise, quadratic.start)])
    filled = np.pad(modes, ((0, 0), (0, -h.size % _TILE))).reshape(3, -1, _TILE).transpose(1, 0, 2)
    ends = _step(
        np.stack(course(optimizer, drive).columns, axis=2).astype(np.float32),
        np.ascontiguousarray(filled, dtype=np.float32),
        np.float32(optimizer.beta2),
        np.float32(optimizer.eps),
        optimizer.kind == "adam",
        optimizer.kind == "nesterov",
    )
    held = ends.reshape(len(drive.lr), -1)[:, : h.size].reshape(len(drive.lr), *h.shape)
    return np.asarray(0.5 * np.sum(h * held, axis=2))

"""Moments of a noisy quadratic under an optimizer, stepped update by update: what has no closed form.

Each mode has curvature h; its gradient is h x + n, n of variance s^2 / batch. With X = E x^2, C = E x v (v the
momentum buffer, or Adam's first moment) and V = E v^2 the updates of SGD with momentum and of Nesterov's form are
exact, as torch does them (no dampening). Adam's second moment is replaced by its mean, which is exact without noise and
the usual mean field with it. The loss is sum h X / 2.

Here in float64, as the reference; the paths of `stepping.moment_stepper` are fast. Modes move independently of each
other. X is a sum of very many small moves, which single precision keeps only with the part that rounding cuts off
(Kahan); the other moments forget their past, and their errors with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray

Kind = Literal["sgd", "nesterov", "adam"]


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """N draws of K modes: curvature `h`, gradient `noise` (its variance at batch 1), E x^2 at the `start`, (N, K) each.

    One draw may be given as (K,).
    """

    h: FloatArray
    noise: FloatArray
    start: FloatArray


@dataclass(frozen=True, slots=True)
class Optimizer:
    """`momentum` is SGD's or Adam's beta1; `weight_decay` is decoupled, as AdamW's."""

    kind: Kind = "sgd"
    momentum: float = 0.0
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """What S schedules prescribe for each of T updates: `lr` (S, T), restarts and spikes being part of it.

    `batch` (S, T) scales the noise down; `momentum` (S, T) replaces the optimizer's where it is cycled.
    """

    lr: FloatArray
    batch: FloatArray | None = None
    momentum: FloatArray | None = None


StepMoments = Callable[[Quadratic, Optimizer, Drive], FloatArray]
"""N draws under S schedules of T updates -> losses (S, N) after the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A drive in numbers for each update, (S, T) each, the same for all modes.

    `quiet` is 1 / batch, `fresh` the part of the gradient that enters the buffer, `decay` lr x weight decay. For Adam,
    `lr` has the correction of the first moment in it and `second` is that of the second; else `second` is 1.
    """

    lr: FloatArray
    quiet: FloatArray
    beta: FloatArray
    fresh: FloatArray
    decay: FloatArray
    second: FloatArray

    @property
    def columns(self) -> tuple[FloatArray, ...]:
        return self.lr, self.quiet, self.beta, self.fresh, self.decay, self.second


def course(optimizer: Optimizer, drive: Drive) -> Course:
    lr = np.asarray(drive.lr, dtype=np.float64)
    ones = np.ones_like(lr)
    quiet = ones if drive.batch is None else 1.0 / drive.batch
    beta = optimizer.momentum * ones if drive.momentum is None else np.asarray(drive.momentum, dtype=np.float64)
    decay = lr * optimizer.weight_decay
    if optimizer.kind != "adam":
        return Course(lr, quiet, beta, ones, decay, ones)
    count = np.arange(1.0, lr.shape[1] + 1.0)
    second = ones / (1.0 - optimizer.beta2**count)
    return Course(lr / (1.0 - beta**count), quiet, beta, 1.0 - beta, decay, second)


class Moments(NamedTuple):
    """E x^2 of (S, N, K) modes, what rounding cut off it, E x v, E v^2 and Adam's second moment: numpy's or torch's."""

    xx: Any
    cut: Any
    xv: Any
    vv: Any
    second: Any


def moved(state: Moments, h: Any, noise: Any, now: Sequence[Any], optimizer: Optimizer) -> Moments:
    """The moments after an update, `now` being the columns of a `Course` there."""
    lr, quiet, beta, fresh, decay, correction = now
    xx, cut, xv, vv, second = state
    grad = h * h * xx + noise * quiet  # E g^2
    cross = beta * h * xv + fresh * grad  # E g v'
    vv = beta * beta * vv + fresh * (2.0 * beta * h * xv + fresh * grad)
    xv = beta * xv + fresh * h * xx  # E x v'
    direction, power, along = xv, vv, vv  # E x d, E d^2 and E d v' of the step d
    if optimizer.kind == "nesterov":
        direction, power = h * xx + beta * xv, grad + 2.0 * beta * cross + beta * beta * vv
        along = cross + beta * vv
    if optimizer.kind == "adam":
        second = optimizer.beta2 * second + (1.0 - optimizer.beta2) * grad
        lr = lr / ((second * correction) ** 0.5 + optimizer.eps)
    kept = 1.0 - decay  # of x, before the step
    step = lr * (lr * power - 2.0 * kept * direction) - decay * (1.0 + kept) * xx - cut
    reached = xx + step
    return Moments(reached, (reached - xx) - step, kept * xv - lr * along, vv, second)


def step_moments_reference(quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> FloatArray:
    """`StepMoments` in float64, one update after another for all schedules, draws and modes at once."""
    *_, last = _losses(quadratic, optimizer, drive)
    return last


def loss_curves(quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> FloatArray:
    """Losses (S, N, T + 1) before each update and after the last, in float64."""
    return np.stack(list(_losses(quadratic, optimizer, drive)), axis=2)


def _losses(quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> Iterator[FloatArray]:
    """Losses (S, N) before each update and after the last."""
    h, noise, start = (np.atleast_2d(each)[None] for each in (quadratic.h, quadratic.noise, quadratic.start))
    columns = [column.T[:, :, None, None] for column in course(optimizer, drive).columns]
    xx = np.repeat(start, len(drive.lr), axis=0)
    state = Moments(xx, *[np.zeros_like(xx)] * 4)
    yield 0.5 * np.sum(h * xx, axis=2)
    for now in zip(*columns, strict=True):
        state = moved(state, h, noise, now, optimizer)
        yield 0.5 * np.sum(h * state.xx, axis=2)

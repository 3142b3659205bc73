"""Moments of a noisy quadratic under an optimizer, stepped update by update: what has no closed form.

Each mode has curvature h; its gradient is h x + n, n of variance s^2 / batch. With X = E x^2, C = E x v (v the
momentum buffer, or Adam's first moment) and V = E v^2 the updates of SGD with momentum and of Nesterov's form are
exact, as torch does them (no dampening). Adam's second moment is replaced by its mean, which is exact without noise and
the usual mean field with it. The loss is sum h X / 2. Float64, in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray

Kind = Literal["sgd", "nesterov", "adam"]


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """K modes: curvature `h`, gradient `noise` (its variance at batch 1), E x^2 at the `start`, (K,) each."""

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


def step_moments(
    quadratic: Quadratic,
    optimizer: Optimizer,
    lr: FloatArray,
    batch: FloatArray | None = None,
    momentum: FloatArray | None = None,
) -> FloatArray:
    """Losses (S, T + 1) before each update and after the last, for schedules lr (S, T).

    `batch` (S, T) scales the noise down; `momentum` (S, T) replaces the optimizer's where it is cycled. Restarts and
    spikes are part of lr.
    """
    state = _Moments(quadratic, len(lr))
    losses = np.empty((lr.shape[0], lr.shape[1] + 1))
    for step in range(lr.shape[1]):
        losses[:, step] = state.loss
        noise = quadratic.noise if batch is None else quadratic.noise / batch[:, step, None]
        beta = optimizer.momentum if momentum is None else momentum[:, step, None]
        state.update(optimizer, lr[:, step, None], noise, beta, step + 1)
    losses[:, -1] = state.loss
    return losses


class _Moments:
    """The moments (S, K) of all modes under S schedules."""

    def __init__(self, quadratic: Quadratic, schedules: int) -> None:
        self.h = quadratic.h
        self.xx = np.repeat(quadratic.start[None], schedules, axis=0)
        self.xv = np.zeros_like(self.xx)
        self.vv = np.zeros_like(self.xx)
        self.second = np.zeros_like(self.xx)

    @property
    def loss(self) -> FloatArray:
        return np.asarray(0.5 * np.sum(self.h * self.xx, axis=1))

    def update(
        self, optimizer: Optimizer, lr_given: FloatArray, noise: FloatArray, beta: float | FloatArray, count: int
    ) -> None:
        h = self.h
        grad = h * h * self.xx + noise  # E g^2
        fresh = 1.0 - beta if optimizer.kind == "adam" else 1.0  # what of the gradient enters the buffer
        cross = beta * h * self.xv + fresh * grad  # E g v'
        self.vv = beta * beta * self.vv + fresh * (2.0 * beta * h * self.xv + fresh * grad)
        self.xv = beta * self.xv + fresh * h * self.xx  # E x v'
        lr = lr_given
        if optimizer.kind == "adam":
            self.second = optimizer.beta2 * self.second + (1.0 - optimizer.beta2) * grad
            scale = np.sqrt(self.second / (1.0 - optimizer.beta2**count)) + optimizer.eps
            lr = lr_given / (scale * (1.0 - optimizer.momentum**count))
        kept = 1.0 - lr_given * optimizer.weight_decay  # of x, before the step
        if optimizer.kind == "nesterov":
            direction, power = h * self.xx + beta * self.xv, grad + 2.0 * beta * cross + beta * beta * self.vv
            moved = cross + beta * self.vv  # E d v'
        else:
            direction, power, moved = self.xv, self.vv, self.vv
        self.xx = kept * kept * self.xx - 2.0 * lr * kept * direction + lr * lr * power
        self.xv = kept * self.xv - lr * moved

"""What the fit needs to know of a loss law. Three are at hand: F7, which estimates, and two published baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate import baselines, f7
from lrdoctor.simulate.grid import Grid


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """A loss law with P parameters over a compressed schedule.

    `evaluate(theta (P,), grid)` gives the losses (M,) at the grid's points and their derivatives (M, P). Fits begin at
    `start` (P,), its first two entries (loss floor, ln of the signal's height) replaced by what the run shows; `lower`
    and `upper` (P,) are the bounds.
    """

    name: str
    names: tuple[str, ...]
    evaluate: Callable[[FloatArray, Grid], tuple[FloatArray, FloatArray]]
    start: FloatArray
    lower: FloatArray
    upper: FloatArray


F7 = Law(
    "f7",
    f7.NAMES,
    f7.loss_and_jacobian,
    start=np.array([0.0, 0.0, 0.4, -1.5, 0.5, 0.6, 0.6]),
    lower=np.array([0.0, -5.0, 0.05, -8.0, -4.0, 0.05, 0.1]),
    upper=np.array([8.0, 4.0, 1.5, 2.0, 5.0, 1.5, 1.5]),
)

MULTI_POWER = Law(
    "multi-power-law",
    baselines.MULTI_POWER_NAMES,
    baselines.multi_power,
    start=np.array([0.0, 0.0, 0.4, -2.0, 3.0, 0.5, 0.5]),
    lower=np.array([0.0, -5.0, 0.05, -8.0, -6.0, 0.02, 0.0]),
    upper=np.array([8.0, 4.0, 1.5, 2.0, 9.0, 3.0, 1.5]),
)

MOMENTUM = Law(
    "momentum-law",
    baselines.MOMENTUM_NAMES,
    baselines.momentum,
    start=np.array([0.0, 0.0, 0.4, -2.0]),
    lower=np.array([0.0, -5.0, 0.05, -10.0]),
    upper=np.array([8.0, 4.0, 1.5, 3.0]),
)

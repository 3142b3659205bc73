"""From the losses of one run to the loss of another schedule, with an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import loss, loss_and_jacobian
from lrdoctor.simulate.fit import Observed, Posterior
from lrdoctor.simulate.grid import Grid
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.pool import Pool

STRUCTURAL_SD = 0.006
STRUCTURAL_SD_OUTSIDE = 0.010
"""Nats the law itself is off, whatever the fit says: inside the library's family, and where that is unsure."""

REPLICATE_SD = 0.0013
"""Nats between two runs that differ in nothing but chance; enters twice, once for each of the two schedules."""

PEAK_CHANGE_SD = 0.02
"""Nats for each unit of ln(peak after / peak before)."""

DRAWS = 256

Evaluate = Callable[[FloatArray, Grid], FloatArray]
"""Parameter vectors (N, 7) and a grid -> losses (N, M)."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Losses (M,) under the other schedule and how sure they are, at the points of its grid.

    `fit_sd` (M,) is the spread of the posterior's draws, which rests on the models of the library and so on `freedom`
    degrees of freedom; `other_sd` everything else. `residual_rms` is the fit's, of ln loss; `prior_share` the library's
    share of the knowledge about the last point.
    """

    loss: FloatArray
    fit_sd: FloatArray
    other_sd: float
    freedom: float
    prior_share: float
    residual_rms: float

    def half_width(self, level: float = 0.9) -> FloatArray:
        """(M,) half of the interval that holds the truth with this probability: Student's t for the part of the fit."""
        from scipy.stats import norm, t

        tail = 0.5 + level / 2.0
        scaled = float(t.ppf(tail, self.freedom)) * self.fit_sd
        return np.asarray(np.hypot(scaled, float(norm.ppf(tail)) * self.other_sd))

    @property
    def low(self) -> FloatArray:
        return self.loss - self.half_width()

    @property
    def high(self) -> FloatArray:
        return self.loss + self.half_width()


def predict(
    pool: Pool,
    observed: Observed,
    other: Grid,
    library: Library,
    *,
    peak_ratio: float = 1.0,
    structural_sd: float = STRUCTURAL_SD,
    evaluate: Evaluate = loss,
) -> Prediction:
    """The losses at the points of `other`, its u relative to the observed run's peak; `peak_ratio` is its own peak's.

    The centre is the weighted mean of the posteriors' modes, moved by the median of the run's last five residuals:
    another schedule of the same data order shares them. Variances add: draws, structure, chance, change of the peak.
    """
    offset = pool.mean(lambda posterior: _last_residual(posterior, observed))
    centre = pool.mean(lambda posterior: loss(posterior.mode, other)) + offset
    draws = evaluate(pool.draws(DRAWS), other)
    other_sd = float(np.sqrt(structural_sd**2 + 2.0 * REPLICATE_SD**2 + (PEAK_CHANGE_SD * np.log(peak_ratio)) ** 2))
    freedom = library.population().freedom
    share = float(pool.mean(lambda posterior: _prior_share(posterior, other)))
    return Prediction(centre, draws.std(axis=0), other_sd, freedom, share, pool.residual_rms)


def _last_residual(posterior: Posterior, observed: Observed) -> float:
    return float(np.median((observed.loss - loss(posterior.mode, observed.grid))[-5:]))


def _prior_share(posterior: Posterior, other: Grid) -> float:
    return posterior.prior_share(loss_and_jacobian(posterior.mode, other)[1][-1])

"""From the losses of one run to the loss of another schedule, with an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import loss, loss_and_jacobian
from lrdoctor.simulate.fit import SIGMA, Observed, Posterior, fit
from lrdoctor.simulate.grid import Grid
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.prior import FORMS

STRUCTURAL_SD = 0.006
STRUCTURAL_SD_OUTSIDE = 0.010
"""Nats the law itself is off, whatever the fit says: inside the library's family, and where that is unsure."""

REPLICATE_SD = 0.0013
"""Nats between two runs that differ in nothing but chance; enters twice, once for each of the two schedules."""

PEAK_CHANGE_SD = 0.02
"""Nats for each unit of ln(peak after / peak before)."""

DRAWS = 128

Evaluate = Callable[[FloatArray, Grid], FloatArray]
"""Parameter vectors (N, 7) and a grid -> losses (N, M)."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Losses (M,) under the other schedule with their 90 % interval, at the points of its grid.

    `residual_rms` is the fit's, of ln loss; `prior_share` the library's share of the knowledge about the last point.
    """

    loss: FloatArray
    low: FloatArray
    high: FloatArray
    prior_share: float
    residual_rms: float


def fit_both(observed: Observed, peak_lr: float, library: Library) -> tuple[Posterior, ...]:
    """One posterior for each form of the prior."""
    return tuple(fit([observed], library.prior(peak_lr, form)) for form in FORMS)


def predict(
    posteriors: tuple[Posterior, ...],
    observed: Observed,
    other: Grid,
    library: Library,
    *,
    peak_ratio: float = 1.0,
    structural_sd: float = STRUCTURAL_SD,
    evaluate: Evaluate = loss,
) -> Prediction:
    """The losses at the points of `other`, its u relative to the observed run's peak; `peak_ratio` is its own peak's.

    The centre is the mean of the posteriors' modes, moved by the median of the run's last five residuals, which another
    schedule of the same data order shares. Variances add: pooled draws, structure, chance, change of the peak.
    """
    offset = np.mean([_last_residual(posterior, observed) for posterior in posteriors])
    centre = np.mean([loss(posterior.mode, other) for posterior in posteriors], axis=0) + offset
    draws = np.concatenate([evaluate(posterior.draws(DRAWS, seed), other) for seed, posterior in enumerate(posteriors)])
    variance = draws.var(axis=0) + structural_sd**2 + 2.0 * REPLICATE_SD**2 + (PEAK_CHANGE_SD * np.log(peak_ratio)) ** 2
    half_width = library.quantile_90 * np.sqrt(variance)
    share = float(np.mean([_prior_share(posterior, other) for posterior in posteriors]))
    rms = max(posterior.residual_rms for posterior in posteriors) * SIGMA
    return Prediction(centre, centre - half_width, centre + half_width, share, rms)


def _last_residual(posterior: Posterior, observed: Observed) -> float:
    return float(np.median((observed.loss - loss(posterior.mode, observed.grid))[-5:]))


def _prior_share(posterior: Posterior, other: Grid) -> float:
    return posterior.prior_share(loss_and_jacobian(posterior.mode, other)[1][-1])

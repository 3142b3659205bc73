"""Fit a loss law to the losses of one run, or of several runs of one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.grid import Grid
from lrdoctor.simulate.law import F7, Law
from lrdoctor.simulate.prior import Prior

SIGMA = 0.003
"""Standard deviation of ln loss around the law where nothing is noisier: measured on 33M to 400M parameter runs."""

POINTS = 40
"""Losses used of one run: thinning stands in for their autocorrelation."""

LOWER, UPPER = F7.lower, F7.upper


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Losses (M,) at the points of a schedule, and the standard deviation (M,) of their logarithm."""

    grid: Grid
    loss: FloatArray
    sigma: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """The fitted law: its `mode` (P,), Laplace `covariance` (P, P), and the prior's part of the precision (P, P).

    `residual_rms` is the root mean square of (ln observed - ln fitted) in units of SIGMA, noise beyond it taken out.
    """

    mode: FloatArray
    covariance: FloatArray
    prior_precision: FloatArray
    residual_rms: float
    cost: float

    def draws(self, count: int, seed: int = 0) -> FloatArray:
        """(count, 7) parameter vectors, inside the bounds; the same for the same seed."""
        generator = np.random.default_rng(seed)
        raw = generator.multivariate_normal(self.mode, self.covariance, size=count, method="eigh")
        return np.clip(raw, LOWER, UPPER)

    def prior_share(self, gradient: FloatArray) -> float:
        """The part of the knowledge about a quantity with this (7,) gradient that the prior brought, 0 to 1.

        With H = H_data + H_prior and v = H^-1 gradient: v' H_prior v / v' H v.
        """
        v = self.covariance @ gradient
        return float(np.clip(v @ self.prior_precision @ v / max(float(gradient @ v), 1e-300), 0.0, 1.0))


def thin(n: FloatArray, count: int = POINTS) -> npt.NDArray[np.int64]:
    """Indices of about `count` of the increasing (M,) update counts, evenly in the square root of n."""
    if len(n) <= count:
        return np.arange(len(n))
    wanted = np.linspace(np.sqrt(n[0]), np.sqrt(n[-1]), count) ** 2
    return np.unique(np.clip(np.searchsorted(n, wanted), 0, len(n) - 1))


def fit(observed: Sequence[Observed], prior: Prior | None, law: Law = F7) -> Posterior:
    """The posterior mode from two starts, with the curvature there; without a prior the likelihood's.

    Residuals of ln loss enter as pseudo-Huber (Gaussian within about SIGMA, linear beyond), the prior as a Gaussian.
    """
    from scipy.optimize import least_squares

    def residuals(theta: FloatArray) -> FloatArray:
        return _residuals(theta, observed, prior, law)[0]

    def jacobian(theta: FloatArray) -> FloatArray:
        return _residuals(theta, observed, prior, law)[1]

    solutions = [
        least_squares(residuals, start, jac=jacobian, bounds=(law.lower, law.upper), x_scale="jac", max_nfev=200)
        for start in _starts(observed, prior, law)
    ]
    best = min(solutions, key=lambda solution: float(solution.cost))
    mode = np.asarray(best.x, dtype=np.float64)
    covariance = np.asarray(np.linalg.pinv(_curvature(mode, observed, prior, law), hermitian=True), dtype=np.float64)
    known = np.zeros_like(covariance) if prior is None else prior.precision
    return Posterior(mode, covariance, known, _rms(mode, observed, law), float(best.cost))


def _starts(observed: Sequence[Observed], prior: Prior | None, law: Law) -> list[FloatArray]:
    """The law's start, moved to the prior's centre, with the loss floor at 60 % and at 85 % of the lowest loss."""
    lowest = min(float(one.loss.min()) for one in observed)
    highest = max(float(one.loss.max()) for one in observed)
    starts = []
    for share in (0.6, 0.85):
        theta = law.start.copy()
        theta[0] = share * lowest
        theta[1] = np.log(max(highest - share * lowest, 0.1)) - 0.3
        if prior is not None:
            rest = prior.features.copy()
            rest[:, 1] = 0.0  # A stays what the run shows, even where the prior speaks of B/A
            theta += rest.T @ (prior.mean - prior.features @ theta)
        starts.append(np.clip(theta, law.lower + 1e-6, law.upper - 1e-6))
    return starts


def _residuals(
    theta: FloatArray, observed: Sequence[Observed], prior: Prior | None, law: Law
) -> tuple[FloatArray, FloatArray]:
    values, slopes = [], []
    for one in observed:
        scaled, by_theta = _scaled(theta, one, law)
        root = np.sqrt(1.0 + scaled**2)
        huber = np.sign(scaled) * np.sqrt(2.0 * (root - 1.0))
        safe = np.where(np.abs(huber) > 1e-6, huber, 1.0)
        slope = np.where(np.abs(huber) > 1e-6, scaled / root / safe, 1.0)
        values.append(huber)
        slopes.append(slope[:, None] * by_theta)
    if prior is not None:
        white = prior.whitening
        values.append(white @ (prior.features @ theta - prior.mean))
        slopes.append(white @ prior.features)
    return np.concatenate(values), np.concatenate(slopes)


def _scaled(theta: FloatArray, one: Observed, law: Law) -> tuple[FloatArray, FloatArray]:
    """(ln fitted - ln observed) / sigma, (M,), and its derivatives (M, P)."""
    fitted, by_theta = law.evaluate(theta, one.grid)
    fitted = np.maximum(fitted, 1e-3)
    return np.log(fitted / one.loss) / one.sigma, by_theta / (fitted * one.sigma)[:, None]


def _curvature(theta: FloatArray, observed: Sequence[Observed], prior: Prior | None, law: Law) -> FloatArray:
    """(P, P) Gauss-Newton curvature of the negative log posterior; points beyond sigma count less, as in the fit."""
    curvature = np.zeros((len(theta), len(theta))) if prior is None else prior.precision
    for one in observed:
        scaled, by_theta = _scaled(theta, one, law)
        weight = 1.0 / np.sqrt(1.0 + scaled**2)
        curvature = curvature + by_theta.T @ (weight[:, None] * by_theta)
    return curvature


def _rms(theta: FloatArray, observed: Sequence[Observed], law: Law) -> float:
    scaled = np.concatenate([_scaled(theta, one, law)[0] for one in observed])
    return float(np.sqrt(np.mean(scaled**2)))

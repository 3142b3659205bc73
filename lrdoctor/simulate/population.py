"""From the fits of many models to what is to be expected of another: a regression on ln(peak lr), with its scatter.

The features f of a model (see prior.py) are taken to be f = beta' (1, ln(peak / 1e-3)) + b, b ~ N(0, Sigma) between
models, and the fit of each model to measure f with the information its own runs gave (so that a model seen under one
schedule says little). beta and Sigma are found by expectation maximisation, Sigma under an inverse Wishart prior that
is worth BELIEF further models: a handful of models cannot tell a 5 x 5 scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import NAMES
from lrdoctor.simulate.prior import FEATURES, Form, Prior, features

REFERENCE_PEAK = 1e-3  # the regression is on ln(peak / this)

BELIEF = 4.0
EXPECTED_SCATTER = np.array([0.03, 0.15, 0.35, 0.05, 0.05])
"""Sd of the features between models that is believed beforehand, for as much as BELIEF models; chosen by us."""

_RIDGE_SD = 2.0  # of a slope per unit of ln(peak), in scatters: holds the slopes of few entries; chosen by us
_ITERATIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What K fits say about their features, in information form: `precision` (K, 5, 5), `pull` = precision @ f (K, 5).

    `weight` (K,) is 1 / the number of entries of a model: runs of one model at two peaks are not two witnesses.
    """

    peak_lr: FloatArray
    precision: FloatArray
    pull: FloatArray
    weight: FloatArray

    @property
    def design(self) -> FloatArray:
        """(K, 5, 10) matrices from beta to the expected features."""
        return np.stack([_design(peak) for peak in self.peak_lr])


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """`beta` (10,) with its `covariance` (10, 10), `scatter` (5, 5) between models, degrees of freedom behind it.

    `influence` (K, 10, 5) says how each fit's features moved beta.
    """

    form: Form
    beta: FloatArray
    covariance: FloatArray
    scatter: FloatArray
    freedom: float
    influence: FloatArray

    def prior(self, peak_lr: float) -> Prior:
        """The prior of a new model with this peak."""
        design = _design(peak_lr)
        return Prior(features(self.form), design @ self.beta, self.scatter + design @ self.covariance @ design.T)

    def weights(self, peak_lr: float) -> FloatArray:
        """(K,) share of each fit in the centre of that prior, about 1 in all; below 0 where it only tilts the line."""
        moved: FloatArray = np.trace(_design(peak_lr) @ self.influence, axis1=1, axis2=2) / FEATURES
        return moved


def without_prior(theta: FloatArray, covariance: FloatArray, used: Prior) -> tuple[FloatArray, FloatArray]:
    """Precision (7, 7) and pull (7,) = precision @ theta of a fit (mode, Laplace covariance), less the prior `used`."""
    precision = np.linalg.inv(covariance)
    return precision - used.precision, precision @ theta - used.pull


def of_features(precision: FloatArray, pull: FloatArray, form: Form) -> tuple[FloatArray, FloatArray]:
    """Precision (5, 5) and pull (5,) of the features, L0 and A integrated out, from those of the parameters."""
    basis = np.zeros((len(NAMES), len(NAMES)))
    basis[:FEATURES] = features(form)
    basis[FEATURES, NAMES.index("L0")] = basis[FEATURES + 1, NAMES.index("lnA")] = 1.0
    back = np.linalg.inv(basis)
    precision, pull = back.T @ precision @ back, back.T @ pull
    seen, rest = slice(0, FEATURES), slice(FEATURES, None)
    across = precision[seen, rest] @ np.linalg.inv(precision[rest, rest])
    marginal = precision[seen, seen] - across @ precision[rest, seen]
    values, vectors = np.linalg.eigh((marginal + marginal.T) / 2.0)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T, pull[seen] - across @ pull[rest]


def learn(fits: Measured, form: Form) -> Population:
    """Expectation maximisation over the fits of at least one model."""
    freedom = max(float(fits.weight.sum()) - 2.0, 0.0) + BELIEF  # two go for the line
    scatter, design = np.diag(EXPECTED_SCATTER**2), fits.design
    for _ in range(_ITERATIONS):
        beta, _, _ = _regress(fits, design, scatter)
        # mean and covariance of each model's own deviation from the line, given its fit
        spread = np.linalg.inv(np.linalg.inv(scatter) + fits.precision)
        pull = fits.pull - np.einsum("kij,kj->ki", fits.precision, design @ beta)
        mean = np.einsum("kij,kj->ki", spread, pull)
        seen = np.einsum("k,ki,kj->ij", fits.weight, mean, mean) + np.einsum("k,kij->ij", fits.weight, spread)
        scatter = (seen + BELIEF * np.diag(EXPECTED_SCATTER**2)) / freedom
    beta, covariance, influence = _regress(fits, design, scatter)
    return Population(form, beta, covariance, scatter, freedom, influence)


def _regress(fits: Measured, design: FloatArray, scatter: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """beta (10,), its covariance (10, 10) and the fits' influence (K, 10, 5) on it, given the scatter."""
    ridge = np.concatenate([np.zeros(FEATURES), 1.0 / (_RIDGE_SD**2 * np.diag(scatter))])
    damping = np.linalg.inv(np.eye(FEATURES) + fits.precision @ scatter)  # (scatter + precision^-1)^-1, if singular too
    left = fits.weight[:, None, None] * (design.transpose(0, 2, 1) @ damping)
    curvature = np.diag(ridge) + (left @ fits.precision @ design).sum(axis=0)
    covariance = np.linalg.pinv(curvature, hermitian=True)
    return covariance @ np.einsum("kag,kg->a", left, fits.pull), covariance, covariance @ left @ fits.precision


def _design(peak_lr: float) -> FloatArray:
    return np.kron(np.array([1.0, np.log(peak_lr / REFERENCE_PEAK)]), np.eye(FEATURES))

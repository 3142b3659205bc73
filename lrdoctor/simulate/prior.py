"""What other models say about the parameters of the loss law before a run has been looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import NAMES

Form = Literal["ln B", "ln B/A"]
FORMS: tuple[Form, ...] = ("ln B", "ln B/A")
"""The height of the noise by itself, or relative to the signal's, which the run shows: two priors, results pooled."""

FEATURES = 5


def features(form: Form) -> FloatArray:
    """(5, 7) matrix from the parameters to what the prior speaks of: alpha, ln B (or ln B/A), ln C, delta, zeta."""
    rows = np.zeros((5, len(NAMES)))
    for row, name in enumerate(("alpha", "lnB", "lnC", "delta", "zeta")):
        rows[row, NAMES.index(name)] = 1.0
    if form == "ln B/A":
        rows[1, NAMES.index("lnA")] = -1.0
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """A Gaussian over features @ theta: `mean` (5,), `covariance` (5, 5). L0 and A are left to the run."""

    features: FloatArray
    mean: FloatArray
    covariance: FloatArray

    @property
    def whitening(self) -> FloatArray:
        """(5, 5) W with W' W = covariance^-1: the prior's residual is W (features @ theta - mean)."""
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self.covariance)), dtype=np.float64)

    @property
    def precision(self) -> FloatArray:
        """(7, 7) in parameter space."""
        rows = self.whitening @ self.features
        return np.asarray(rows.T @ rows, dtype=np.float64)

    @property
    def pull(self) -> FloatArray:
        """(7,) precision times mean in parameter space, where the mean alone is not unique."""
        return np.asarray(self.features.T @ np.linalg.solve(self.covariance, self.mean))

    def distance(self, theta: FloatArray) -> float:
        """Squared Mahalanobis distance of parameters (7,) from the mean."""
        return float(np.sum((self.whitening @ (self.features @ theta - self.mean)) ** 2))


def vague() -> Prior:
    """A wide prior, chosen by us to cover every value joint fits of several schedules gave.

    Entries of the library are fitted under it; what it adds is taken out again where they are put together.
    """
    return Prior(
        features("ln B"), np.array([0.5, -1.5, 2.5, 0.7, 0.6]), np.diag(np.array([0.2, 1.0, 1.5, 0.25, 0.2]) ** 2)
    )

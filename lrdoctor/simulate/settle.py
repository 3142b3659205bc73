"""The one experiment that would settle an estimate: a short decay branch, and what it would do to the interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import loss_and_jacobian
from lrdoctor.simulate.fit import SIGMA, Posterior
from lrdoctor.simulate.fitted import Fitted
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.predict import Prediction

BRANCH = 0.08
"""Length of the branch, as a part of the run's updates: between the 5 and 10 % a decay takes."""

_POINTS = 5  # losses the branch is reckoned to bring
_WORTH = 0.85  # a branch is advised where it narrows the interval to less than this


def branch_words(fitted: Fitted, prediction: Prediction, lr: FloatArray, at: float) -> str | None:
    """What a decay branch from the end of the run would bring; None where the interval would hardly narrow.

    `prediction` is of the loss after `at` updates under `lr`. The branch is taken as seen with the law's own error, in
    the linear approximation around the fit.
    """
    usable = fitted.usable
    updates = max(round(BRANCH * usable.steps), _POINTS)
    if usable.losses.broken_at is not None:
        return None
    decay = usable.lr[-1] * np.linspace(1.0, 0.0, updates)
    branch = compress(np.concatenate([usable.lr, decay]) / usable.peak, usable.steps + _marks(updates))
    asked = compress(lr / usable.peak, [at])

    def variances(posterior: Posterior) -> tuple[float, float]:
        """Of the loss that is asked for, without the branch and with it."""
        gradient = loss_and_jacobian(posterior.mode, asked)[1][-1]
        values, slopes = loss_and_jacobian(posterior.mode, branch)
        scaled = slopes / (values * SIGMA)[:, None]
        precision = np.linalg.pinv(posterior.covariance, hermitian=True)
        seen = np.linalg.pinv(precision + scaled.T @ scaled, hermitian=True)
        return float(gradient @ posterior.covariance @ gradient), float(gradient @ seen @ gradient)

    before, after = fitted.pool.mean(variances).tolist()
    half = float(prediction.half_width()[-1])
    shrunk = np.sqrt(after / max(before, 1e-300))
    narrower = float(replace(prediction, fit_sd=prediction.fit_sd * shrunk).half_width()[-1])
    if narrower > _WORTH * half:
        return None
    return (
        f"a branch of {updates:,} updates from the last checkpoint, its lr falling to zero, would narrow the interval "
        f"from ±{half:.3f} to about ±{narrower:.3f}"
    )


def _marks(updates: int) -> FloatArray:
    return np.unique(np.round(np.linspace(0.2, 1.0, _POINTS) * updates))

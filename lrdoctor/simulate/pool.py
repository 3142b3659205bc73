"""The two posteriors of a run, one under each form of the prior, taken together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.fit import SIGMA, Observed, Posterior, fit
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.prior import FORMS, Prior
from lrdoctor.simulate.stacking import form_weights


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Posteriors of the same losses, and how much each counts; the shares make 1."""

    posteriors: tuple[Posterior, ...]
    shares: tuple[float, ...]
    priors: tuple[Prior, ...] = ()

    def mean(self, told: Callable[[Posterior], npt.ArrayLike]) -> FloatArray:
        """The weighted mean of what is told of each posterior."""
        return np.asarray(np.average([told(one) for one in self.posteriors], axis=0, weights=self.shares))

    def draws(self, count: int) -> FloatArray:
        """(count, 7) draws of all posteriors, each by its share; the same for the same posteriors."""
        ends = [round(end * count) for end in np.cumsum(self.shares)]
        counts = np.diff([0, *ends]).tolist()
        return np.concatenate(
            [one.draws(count, seed) for seed, (one, count) in enumerate(zip(self.posteriors, counts, strict=True))]
        )

    @property
    def residual_rms(self) -> float:
        """Root mean square of the residuals of ln loss, noise taken out, of the worse fit."""
        return max(posterior.residual_rms for posterior in self.posteriors) * SIGMA

    @property
    def conflict(self) -> float:
        """Chi-square of the modes' features under their priors, of the worse: how unlike the library the run is."""
        return max(
            (prior.distance(one.mode) for one, prior in zip(self.posteriors, self.priors, strict=True)), default=0.0
        )


def fit_both(observed: Sequence[Observed], peak_lr: float, library: Library) -> Pool:
    """One posterior for each form of the prior, from one run or jointly from several of the same model."""
    priors = tuple(library.prior(peak_lr, form) for form in FORMS)
    return Pool(tuple(fit(observed, prior) for prior in priors), form_weights(library), priors)

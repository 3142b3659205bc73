"""How much each form of the prior counts: by how well it foretells the models of the library, each left out in turn.

The share w of the first form has the posterior w ~ uniform x prod over models of (w p1 + (1 - w) p2), with p the
density the form gives to what a model's runs showed, learned from the other models alone; its mean is taken. Nothing
but the library enters: where a model is left out of it to be judged, it has no say in the shares either.

Yao, Vehtari, Simpson, Gelman: Using Stacking to Average Bayesian Predictive Distributions. Bayesian Analysis, 2018; the
mean of the posterior stands in for its mode, which a handful of models would send to 0 or 1.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.prior import FORMS, Form, Prior

_NODES = 64  # of the quadrature over the share: exact for any number of models below twice as many


@cache
def form_weights(library: Library) -> tuple[float, float]:
    """The shares of FORMS, 1 in all; equal where the library has one model and so nothing to be tried on."""
    models = sorted({entry.model for entry in library.entries})
    if len(models) < 2:
        return 0.5, 0.5
    density = np.array([[_ln_density(library, model, form) for form in FORMS] for model in models])
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    share = 0.5 * (nodes + 1.0)
    first, second = np.exp(density - density.max(axis=1, keepdims=True)).T[:, :, None]
    likelihood = np.prod(share * first + (1.0 - share) * second, axis=0)
    mean = float(np.average(share, weights=weights * likelihood))
    return mean, 1.0 - mean


def _ln_density(library: Library, model: str, form: Form) -> float:
    """Mean over the entries of a model, told by a library that lacks it."""
    others = library.without(model)
    entries = [entry for entry in library.entries if entry.model == model]
    return float(np.mean([ln_evidence(*entry.seen, others.prior(entry.peak_lr, form)) for entry in entries]))


def ln_evidence(precision: FloatArray, pull: FloatArray, prior: Prior) -> float:
    """ln of the integral of prior x likelihood over all parameters, less what does not depend on the prior.

    The likelihood is exp(-theta' P theta / 2 + pull' theta), P = `precision` (7, 7). L0 and A, of which the prior says
    nothing, are integrated with the same measure under either form: the features and they are a basis of volume 1.
    """
    both = precision + prior.precision
    pulled = pull + prior.pull
    white = prior.whitening @ prior.mean
    spread = np.linalg.slogdet(both)[1] + np.linalg.slogdet(prior.covariance)[1]
    return float(0.5 * (pulled @ np.linalg.solve(both, pulled) - white @ white - spread))

"""How much each form of the prior counts: told by the models of the library, never by the one that is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.simulate.fit import Posterior
from lrdoctor.simulate.library import Entry, Library, load_library
from lrdoctor.simulate.pool import Pool
from lrdoctor.simulate.prior import FORMS, Prior, features, vague
from lrdoctor.simulate.stacking import form_weights, ln_evidence

PEAKS = np.geomspace(5e-4, 2e-3, 10)


def a_library(theta, form, seed=4):
    """Ten models that scatter little in what `form` speaks of, and by a factor of some 3 in A, seen exactly."""
    generator = np.random.default_rng(seed)
    used = vague()
    likelihood = np.eye(7) * 1e6
    covariance = np.linalg.inv(likelihood + used.precision)
    entries = []
    for index, peak in enumerate(PEAKS):
        truth = theta + generator.normal(0.0, 0.01, 7)
        truth[1] += (shift := generator.normal(0.0, 1.0))
        truth[3] += shift if form == "ln B/A" else 0.0
        mode = covariance @ (likelihood @ truth + used.pull)
        entries.append(Entry(f"m{index}", float(peak), mode, covariance, 3.0, 3, "", ""))
    return Library(tuple(entries))


@pytest.mark.parametrize("form", FORMS)
def test_the_form_under_which_the_models_resemble_each_other_counts_more(theta, form):
    shares = dict(zip(FORMS, form_weights(a_library(theta, form)), strict=True))
    assert shares[form] > 0.75
    assert sum(shares.values()) == pytest.approx(1.0)


def test_a_model_that_is_left_out_has_no_say_in_the_shares(theta):
    library = load_library()
    (odd, *_) = library.entries
    changed = replace(odd, theta=odd.theta + 0.5)
    other = Library((changed, *library.entries[1:]))
    assert form_weights(other) != form_weights(library)
    assert form_weights(other.without(odd.model)) == form_weights(library.without(odd.model))


def test_one_model_cannot_tell_so_both_count_the_same():
    first = load_library().entries[0]
    assert form_weights(Library((first,))) == (0.5, 0.5)


def test_the_evidence_is_the_integral_of_prior_and_likelihood(theta):
    """Against an average over draws of the prior, with L0 and A known so well that they drop out."""
    generator = np.random.default_rng(2)
    precision = np.diag([1e8, 1e8, 400.0, 30.0, 10.0, 200.0, 200.0])
    told = {}
    for form in FORMS:
        rows = features(form)
        prior = Prior(rows, rows @ theta + 0.1, np.diag([0.05, 0.2, 0.4, 0.06, 0.06]) ** 2)
        draws = generator.multivariate_normal(prior.mean, prior.covariance, 200_000)
        off = draws[:, 1] - theta[3] + (theta[1] if form == "ln B/A" else 0.0)
        seen = np.stack([draws[:, 0] - theta[2], off, *(draws[:, [2, 3, 4]] - theta[4:]).T], axis=1)
        average = np.mean(np.exp(-0.5 * np.sum(seen**2 * np.diag(precision)[2:], axis=1)))
        told[form] = ln_evidence(precision, precision @ theta, prior) - np.log(average)
    assert told["ln B"] == pytest.approx(told["ln B/A"], abs=0.02)


def test_draws_are_shared_out_and_means_are_weighted():
    def posterior(at):
        return Posterior(np.full(7, at), np.eye(7) * 1e-12, np.zeros((7, 7)), 1.0, 0.0)

    pool = Pool((posterior(0.5), posterior(1.0)), (0.4, 0.6))
    draws = pool.draws(1_001)
    assert len(draws) == 1_001
    assert np.sum(draws[:, 1] < 0.75) == 400
    assert pool.mean(lambda one: one.mode[1]) == pytest.approx(0.8)

"""The published laws that the estimate is compared with: by their definitions, and fitted back."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.simulate import baselines
from lrdoctor.simulate.fit import SIGMA, Observed, fit
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.law import F7, MOMENTUM, MULTI_POWER

T, WARMUP = 12_000, 300
_t = np.arange(T)
_ramp = np.minimum((_t + 1) / WARMUP, 1.0)
SCHEDULES = {
    "cosine": _ramp * np.where(_t < WARMUP, 1.0, 0.55 + 0.45 * np.cos(np.pi * (_t - WARMUP) / (T - WARMUP))),
    "constant, then decayed": _ramp * np.clip((T - _t) / 2_000, 0.02, 1.0),
    "two stages": _ramp * np.where(_t < 8_000, 1.0, 0.3),
}
THETA = {
    "multi-power-law": np.array([2.7, -0.3, 0.5, -2.0, 3.0, 0.6, 0.5]),
    "momentum-law": np.array([2.7, -0.3, 0.5, -2.3]),
}


def multi_power_by_definition(theta, u, n):
    floor, ln_a, alpha, ln_b, ln_c, beta, gamma = theta
    S = np.concatenate([[0.0], np.cumsum(u[:n])]) / 1000.0
    total = 0.0
    for k in range(WARMUP, n):
        since = S[n] - S[k]
        total += (u[k - 1] - u[k]) * (1.0 - (1.0 + np.exp(ln_c) * u[k] ** -gamma * since) ** -beta)
    return floor + np.exp(ln_a) * S[n] ** -alpha - np.exp(ln_b) * total


def momentum_by_definition(theta, u, n):
    floor, ln_a, alpha, ln_c = theta
    held, area = 0.0, 0.0
    for k in range(WARMUP, n):
        held = baselines.DECAY * held + (u[k - 1] - u[k])
        area += held
    return floor + np.exp(ln_a) * (u[:n].sum() / 1000.0) ** -alpha - np.exp(ln_c) * area / 1000.0


DEFINITIONS = {"multi-power-law": multi_power_by_definition, "momentum-law": momentum_by_definition}
LAWS = pytest.mark.parametrize("law", [MULTI_POWER, MOMENTUM], ids=lambda law: law.name)


@LAWS
@pytest.mark.parametrize("name", SCHEDULES)
def test_over_the_compressed_schedule_a_law_is_its_definition(law, name):
    u, at = SCHEDULES[name], [2_000, 9_000, T]
    values, _ = law.evaluate(THETA[law.name], compress(u, at))
    wanted = [DEFINITIONS[law.name](THETA[law.name], u, n) for n in at]
    np.testing.assert_allclose(values, wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize("law", [F7, MULTI_POWER, MOMENTUM], ids=lambda law: law.name)
def test_the_derivatives_are_those_of_the_values(law, theta):
    at = THETA.get(law.name, theta)
    grid = compress(SCHEDULES["cosine"], [1_000, 5_000, T])
    _, slopes = law.evaluate(at, grid)
    for index in range(len(law.names)):
        step = np.zeros(len(at))
        step[index] = 1e-5
        numeric = (law.evaluate(at + step, grid)[0] - law.evaluate(at - step, grid)[0]) / 2e-5
        np.testing.assert_allclose(slopes[:, index], numeric, rtol=1e-4, atol=1e-7)


@LAWS
def test_planted_losses_are_predicted_from_three_schedules(law):
    def observe(u):
        grid = compress(u, np.linspace(900, T, 40).astype(np.int64))
        return Observed(grid, law.evaluate(THETA[law.name], grid)[0], np.full(40, SIGMA))

    posterior = fit([observe(u) for u in SCHEDULES.values()], None, law)
    grid = compress(_ramp * (1.0 - 0.9 * _t / T), [T])
    wanted = law.evaluate(THETA[law.name], grid)[0]
    np.testing.assert_allclose(law.evaluate(posterior.mode, grid)[0], wanted, atol=2e-3)
    assert posterior.prior_share(np.ones(len(law.names))) == 0.0

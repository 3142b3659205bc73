"""The loss law: compressed against its definition, its derivatives, and the same on torch."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.simulate import f7_torch
from lrdoctor.simulate.f7 import NAMES, brute_force, loss, loss_and_jacobian
from lrdoctor.simulate.grid import MAX_KNOTS, compress

T = 20_000
_t = np.arange(T)
_ramp = np.minimum((_t + 1) / 500, 1.0)
SCHEDULES = {
    "constant": np.ones(T),
    "cosine with warmup": _ramp * 0.5 * (1.0 + np.cos(np.pi * _t / T)),
    "linear decay at the end": _ramp * np.where(_t < 16_000, 1.0, (T - _t) / 4_000),
    "one drop": np.where(_t < 10_000, 1.0, 0.1),
    "restarts": 0.5 * (1.0 + np.cos(np.pi * (_t % 5_000) / 5_000)),
    "stairs": 0.5 ** (_t // 2_500),
    "off in between": np.where((_t > 8_000) & (_t < 9_000), 0.0, 1.0),
}
AT = np.linspace(900, T, 30).astype(np.int64)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_compressed_law_is_its_definition_summed_update_for_update(name, theta):
    u = SCHEDULES[name]
    expected = [brute_force(theta, u, int(n)) for n in AT]
    close = 2e-4 if name == "restarts" else 2e-5  # the knots are shared among the cycles
    np.testing.assert_allclose(loss(theta, compress(u, AT)), expected, rtol=0, atol=close)


def test_the_definition_is_the_printed_formula(theta):
    u = SCHEDULES["cosine with warmup"][:600]
    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = theta
    progress = noise = 0.0
    for k in range(600):
        before = u[k - 1] ** delta if k else 0.0
        since = sum(u[k:]) / 1000.0
        progress += u[k] ** zeta / 1000.0
        noise += (u[k] ** delta - before) * (1.0 - 1.0 / (1.0 + np.exp(ln_c) * since))
    by_hand = floor + np.exp(ln_a) * progress**-alpha + np.exp(ln_b) * noise
    assert brute_force(theta, u, 600) == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_jacobian_is_that_of_finite_differences(name, theta):
    grid = compress(SCHEDULES[name], AT)
    value, slopes = loss_and_jacobian(theta, grid)
    np.testing.assert_allclose(value, loss(theta, grid), atol=1e-14)
    for index in range(len(NAMES)):
        step = np.zeros(len(NAMES))
        step[index] = 1e-5
        numeric = (loss(theta + step, grid) - loss(theta - step, grid)) / 2e-5
        np.testing.assert_allclose(slopes[:, index], numeric, rtol=1e-6, atol=1e-8)


def test_many_parameter_vectors_are_the_single_ones_stacked(theta):
    grid = compress(SCHEDULES["restarts"], AT)
    thetas = theta + np.random.default_rng(0).normal(0.0, 0.05, (5, 7))
    np.testing.assert_array_equal(loss(thetas, grid), [loss(one, grid) for one in thetas])


def test_a_schedule_keeps_few_knots_and_every_point_asked_for():
    grid = compress(SCHEDULES["cosine with warmup"], AT)
    assert len(grid.n) <= MAX_KNOTS + len(AT)
    np.testing.assert_array_equal(grid.n[grid.points], AT)
    assert grid.n[0] == 0
    assert grid.S[-1] == pytest.approx(SCHEDULES["cosine with warmup"].sum() / 1000.0)


def test_lowering_the_lr_lowers_the_noise_floor(theta):
    dropped, kept = (loss(theta, compress(SCHEDULES[name], [T]))[0] for name in ("one drop", "constant"))
    assert dropped < kept


@pytest.mark.parametrize("at", [[0], [T + 1], []])
def test_a_loss_outside_the_schedule_is_refused(at):
    with pytest.raises(ValueError, match=f"after 1 to {T} updates"):
        compress(np.ones(T), at)


@pytest.mark.parametrize("name", SCHEDULES)
def test_torch_computes_what_numpy_does(name, theta, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(f7_torch, "_BLOCK", 3 * 30 * 400)  # so that several blocks are needed
    grid = compress(SCHEDULES[name], AT)
    thetas = theta + np.random.default_rng(1).normal(0.0, 0.05, (20, 7))
    on_torch = f7_torch.loss_on(torch.device("cpu"), thetas, grid)
    np.testing.assert_allclose(on_torch, loss(thetas, grid), rtol=0, atol=1e-10)

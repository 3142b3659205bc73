"""A range test is recognised, read with its uncertainty, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lrdoctor.errors import ReadError
from lrdoctor.identify import identify
from lrdoctor.identify.range_test import RangeReading, read_range_test
from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Curve, Trajectory

POINTS = 200
STEEP, VALLEY = 10**-3.2, 10**-2.2


def valley(lr: FloatArray, noise: float, seed: int = 0) -> FloatArray:
    """A loss that falls fastest at about STEEP and is lowest near VALLEY; it explodes from 0.06 on."""
    x = np.log10(lr)
    falls = 2.3 - 1.2 / (1 + np.exp(-2.5 * (x - np.log10(STEEP))))
    return falls + np.exp(4.0 * (x + 1.2)) + np.random.default_rng(seed).normal(0, noise, len(lr))


def by_factors(points: int = POINTS) -> FloatArray:
    return 1e-6 * 1e6 ** (np.arange(points) / points)


def with_loss(trajectory: Trajectory, loss: FloatArray) -> Trajectory:
    steps = floats(np.arange(len(loss)))
    return replace(trajectory, curves=(Curve("loss", "train-loss", steps, floats(loss), ints(np.zeros(len(loss)))),))


def reading(logged: Callable[..., Any], lr: FloatArray, loss: FloatArray) -> RangeReading:
    return read_range_test(Run("sweep", ()), with_loss(logged(lr), loss))


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
def test_the_intervals_hold_what_the_loss_was_made_with(noise: float, logged: Callable[..., Any]) -> None:
    found = reading(logged, by_factors(), valley(by_factors(), noise))
    clean = valley(by_factors(), 0.0)
    lowest = by_factors()[np.argmin(clean)]
    assert found.fit.family == "RangeTest"
    assert found.steepest is not None
    assert found.lowest is not None
    assert found.steepest.low / 1.3 <= STEEP <= found.steepest.high * 1.3
    assert found.lowest.low / 1.3 <= lowest <= found.lowest.high * 1.3
    assert found.tenth == pytest.approx(found.lowest.lr / 10)
    assert found.diverged == pytest.approx(0.06, rel=0.3)


def test_more_noise_is_more_doubt(logged: Callable[..., Any]) -> None:
    lr = by_factors()
    quiet, loud = (reading(logged, lr, valley(lr, noise)).steepest for noise in (0.005, 0.05))
    assert quiet is not None
    assert loud is not None
    assert np.log(loud.high / loud.low) > 1.5 * np.log(quiet.high / quiet.low)


def test_a_loss_of_noise_alone_suggests_nothing(logged: Callable[..., Any]) -> None:
    found = reading(logged, by_factors(), 2.3 + np.random.default_rng(1).normal(0, 0.05, POINTS))
    assert (found.steepest, found.lowest, found.tenth) == (None, None, None)
    assert "noise" in found.notes[0]


def test_a_sweep_that_ended_before_the_loss_rose_says_so(logged: Callable[..., Any]) -> None:
    lr = by_factors()[:115]
    found = reading(logged, lr, valley(by_factors(), 0.005)[:115])
    assert found.diverged is None
    assert any("had not risen" in note for note in found.notes)


def test_losses_that_are_no_numbers_are_the_divergence(logged: Callable[..., Any]) -> None:
    loss = valley(by_factors(), 0.01)
    loss[150:] = np.nan
    found = reading(logged, by_factors(), loss)
    assert len(found.lr) == 150
    assert found.diverged == pytest.approx(by_factors()[150])


def test_a_straight_rise_is_a_sweep_where_the_loss_is_a_valley(logged: Callable[..., Any]) -> None:
    part = (np.arange(POINTS) + 1) / POINTS
    noise = np.random.default_rng(0).normal(0, 0.01, POINTS)
    loss = 2.3 - 1.2 * np.tanh(4 * part) + 20 * np.maximum(part - 0.7, 0.0) ** 2 + noise
    fit = identify(with_loss(logged(0.1 * part), loss)).groups[0].fit
    assert fit.family == "RangeTest"
    assert fit.schedule.params()["step_mode"] == "linear"
    assert 0.5 <= fit.confidence < 0.9


@pytest.mark.parametrize("seed", range(5))
def test_a_warmup_that_the_log_ends_in_is_none(seed: int, logged: Callable[..., Any]) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.3, POINTS)
    loss = 3.0 + 4.0 * np.exp(-np.arange(POINTS) / 30) + noise
    fit = identify(with_loss(logged(1e-3 * np.arange(POINTS) / 1000), loss)).groups[0].fit
    assert fit.family == "LinearLR"


@pytest.mark.parametrize("end", [1e-6 * 1e4, 1e-6 * 1e7])
def test_the_usual_finders_are_read_with_their_plain_ends(end: float, logged: Callable[..., Any]) -> None:
    """torch-lr-finder: start * (end / start) ** (i / (n - 1)); Lightning: ** ((i + 1) / n); fastai: ** (i / n)."""
    for lead, length in ((0, 99), (1, 100), (0, 100)):
        lr = 1e-6 * (end / 1e-6) ** ((np.arange(100) + lead) / length)
        fit = identify(logged(lr)).groups[0].fit
        params = fit.schedule.params()
        assert fit.family == "RangeTest"
        assert (params["start_lr"], params["end_lr"]) == (pytest.approx(1e-6), pytest.approx(end))
        assert (params["num_iter"], fit.shift) == (length, lead)


@pytest.mark.parametrize(
    ("lr", "loss", "why"),
    [
        (np.full(50, 1e-3), np.ones(50), "rises"),
        (by_factors(5), np.ones(5), "rises"),
        (by_factors(), np.full(POINTS, np.nan), "finite losses"),
        (np.concatenate([by_factors(50), by_factors(50)]), np.ones(100), "rises"),
    ],
    ids=["constant", "five points", "no number", "twice"],
)
def test_what_is_no_range_test_is_refused_with_the_reason(
    lr: FloatArray, loss: FloatArray, why: str, logged: Callable[..., Any]
) -> None:
    with pytest.raises(ReadError) as caught:
        reading(logged, lr, loss)
    assert why in str(caught.value)

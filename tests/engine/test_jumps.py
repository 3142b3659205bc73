"""Jumps of the loss: what stands out, and how often noise does, on simulated losses of which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor import LossCurve, Trajectory, loss_jumps
from lrdoctor.engine.jumps import Jump

STEPS, PER_EPOCH, MARK = 800, 40, 400.0
NOISE, RISE, WINDOW = 4.0, 0.05, 50


def curves(values, every=1, per_epoch=PER_EPOCH):
    """A trajectory of STEPS updates and the loss logged at every n-th of them."""
    steps = np.arange(0, STEPS, every, dtype=float)
    loss = LossCurve("loss", "train-loss", steps, np.asarray(values)[::every], np.zeros(len(steps), dtype=int))
    return Trajectory("run", (), "update", STEPS, (), steps_per_epoch=per_epoch, curves=(loss,)), loss


def reported(values, *marks, every=1, per_epoch=PER_EPOCH):
    found = loss_jumps(*curves(values, every, per_epoch), marks or (MARK,), WINDOW)
    return [jump for jump in found if jump.stands_out(NOISE, RISE)]


def falling(rng, low=0.3):
    return low + rng.uniform(0.5, 2.0) * (1.0 + np.arange(STEPS) / rng.uniform(20, 100)) ** -0.7


def correlated(rng, keep):
    """(STEPS,) of unit variance, each value `keep` times the last one and something new."""
    new = rng.normal(0.0, np.sqrt(1.0 - keep**2), STEPS)
    for index in range(1, STEPS):
        new[index] += keep * new[index - 1]
    return new


MAKERS = {
    "normal": lambda rng: falling(rng) + 0.1 * rng.normal(size=STEPS),
    "skewed": lambda rng: falling(rng) * np.exp(0.7 * rng.normal(size=STEPS)),
    "with outliers": lambda rng: falling(rng) + 0.05 * rng.standard_t(2, size=STEPS),
    "correlated": lambda rng: falling(rng) * np.exp(0.2 * correlated(rng, 0.9)),
    "a sawtooth": lambda rng: falling(rng) + 0.5 * (1.0 - np.arange(STEPS) % PER_EPOCH / PER_EPOCH),
    "two decimals": lambda rng: np.round(falling(rng, 0.1) * np.exp(0.05 * rng.normal(size=STEPS)), 2),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_noise_does_not_stand_out(make):
    rng = np.random.default_rng(1)
    places = (PER_EPOCH * rng.integers(2, STEPS // PER_EPOCH - 1, 20)).astype(float)
    assert [at for at in places for every in (1, 5) if reported(make(rng), at, every=every)] == []


@pytest.mark.parametrize(("every", "noise"), [(1, 0.3), (5, 0.12)])
def test_a_loss_that_doubles_stands_out_of_skewed_noise(every, noise):
    rng = np.random.default_rng(2)
    after = np.arange(STEPS) >= MARK
    runs = [(falling(rng) + after * np.exp(-(np.arange(STEPS) - MARK) / 100)) for _ in range(20)]
    found = [reported(run * np.exp(noise * rng.normal(size=STEPS)), every=every) for run in runs]
    assert sum(bool(one) for one in found) >= 19


def test_the_error_is_the_scatter_of_the_rise_over_many_runs():
    rng = np.random.default_rng(3)
    jumps = [loss_jumps(*curves(2.0 + 0.1 * rng.normal(size=STEPS)), (MARK,), WINDOW)[0] for _ in range(50)]
    actual = float(np.std([jump.rise for jump in jumps]))
    assert actual < float(np.median([jump.error for jump in jumps])) < 1.7 * actual


def test_correlated_points_count_for_fewer():
    rng = np.random.default_rng(4)
    (alone,) = loss_jumps(*curves(2.0 + 0.1 * rng.normal(size=STEPS)), (MARK,), WINDOW)
    (smooth,) = loss_jumps(*curves(2.0 + 0.1 * correlated(rng, 0.9)), (MARK,), WINDOW)
    assert smooth.error > 1.5 * alone.error


def test_noise_at_the_begin_of_a_run_hides_nothing_later():
    rng = np.random.default_rng(5)
    noisy = np.exp(np.where(np.arange(STEPS) < 150, 1.2, 0.1) * rng.normal(size=STEPS))
    run = (0.4 + (np.arange(STEPS) > 75) * (np.arange(STEPS) < 150) + 0.6 * (np.arange(STEPS) >= MARK)) * noisy
    (jump,) = reported(run)
    assert jump.elsewhere is not None
    assert jump.elsewhere.rise > 0.5 * jump.rise
    assert jump.elsewhere.sigmas < 0.5 * jump.sigmas


def test_the_like_of_a_jump_elsewhere_takes_it_away():
    step = np.arange(STEPS)
    run = 1.0 + 0.5 * (step >= MARK) + 0.02 * np.random.default_rng(6).normal(size=STEPS)
    assert len(reported(run)) == 1
    assert reported(run + 0.4 * (step >= 600)) == []


def test_marks_without_room_between_them_are_compared_with_one_another():
    rng = np.random.default_rng(7)
    marks = [float(at) for at in range(PER_EPOCH, STEPS, PER_EPOCH)]
    sawtooth = 1.0 - np.arange(STEPS) % PER_EPOCH / PER_EPOCH + 0.02 * rng.normal(size=STEPS)
    assert reported(1.0 + sawtooth, *marks) == []
    (jump,) = reported(1.0 + 0.02 * rng.normal(size=STEPS) + 2.0 * (np.arange(STEPS) >= MARK), *marks)
    assert jump.step == MARK


@pytest.mark.parametrize("short", [np.linspace(2, 1, 11), np.full(40, np.nan)], ids=["few points", "not finite"])
def test_too_little_of_a_loss_tells_nothing(short):
    steps = np.arange(len(short), dtype=float)
    loss = LossCurve("loss", "train-loss", steps, short, np.zeros(len(short), dtype=int))
    run = Trajectory("run", (), "update", len(short), (), curves=(loss,))
    assert loss_jumps(run, loss, (5.0,), WINDOW) == []
    assert loss_jumps(run, loss, (), WINDOW) == []


def test_what_a_jump_says_of_the_place_most_like_it():
    like = Jump(40.0, 1.0, 1.1, 1.0, 0.1, 50.0)
    jump = Jump(400.0, 1.0, 3.0, 1.5, 0.1, 50.0, like)
    assert (jump.share, jump.recovers) == (2.0, True)
    assert jump.sigmas == pytest.approx(20.0)
    assert jump.likeness(like) == pytest.approx(0.05)
    assert jump.beside("step") == "Most like it is step 40, where it rises by 0.1."
    assert jump.evidence()["rise_elsewhere"] == pytest.approx(0.1)
    assert Jump(400.0, 1.0, 3.0, 1.5, 0.1, 50.0).beside("step") == "Nowhere else does it rise."


@pytest.mark.filterwarnings("error")
def test_a_loss_that_leaves_the_numbers_is_looked_at_in_silence():
    values = falling(np.random.default_rng(0))
    values[600:] = np.inf
    assert reported(values, 400.0, 620.0) == []

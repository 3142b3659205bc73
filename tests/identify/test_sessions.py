"""Resumes, restarts and breaks: one schedule where it went on, several where it did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, StepLR

from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Fit
from lrdoctor.model.trajectory import Trajectory


def fits_of(trajectory: Trajectory) -> tuple[Fit, ...]:
    lead = identify(trajectory).lead
    assert lead is not None
    return lead.fits


def test_a_complete_resume_is_one_schedule(executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 800), 800)
    (fit,) = fits_of(logged(lr, resumes=(300, 500)))
    assert fit.schedule.params() == {"T_max": 800, "eta_min": 0.0}
    assert (fit.first_step, fit.last_step) == (0.0, 799.0)


def test_the_silent_restart_of_a_cosines_clock(executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    """A new scheduler on an optimizer that kept its LR: no jump, but the clock starts over from there."""
    lr = executed(lambda o: CosineAnnealingLR(o, 800), 300)
    on = executed(lambda o: CosineAnnealingLR(o, 800), 500, lr=float(lr[-1]))
    first, second = fits_of(logged(np.concatenate([lr, on]), resumes=(300,)))
    assert first.schedule.params() == second.schedule.params() == {"T_max": 800, "eta_min": 0.0}
    assert second.peak_lr == pytest.approx(lr[-1], rel=1e-6)
    assert second.first_step == 300.0


def test_a_jump_back_to_the_foot_of_a_cycle(executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    cycle = executed(lambda o: OneCycleLR(o, 0.1, total_steps=600), 300)
    first, second = fits_of(logged(np.concatenate([cycle, cycle]), resumes=(300,), planned_steps=600))
    assert first.family == second.family == "OneCycleLR"
    assert second.whole.lr_at([300.0])[0] == pytest.approx(0.004)


def test_a_restart_is_found_where_no_session_was_told(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    cycle = executed(lambda o: OneCycleLR(o, 0.1, total_steps=600), 350)
    first, second = fits_of(logged(np.concatenate([cycle, cycle]), planned_steps=600))
    assert (first.last_step, second.first_step) == (349.0, 350.0)


@pytest.mark.parametrize("told", [True, False])
def test_a_cycle_that_starts_over_between_two_logged_points(
    told: bool, executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    """Resumed at step 444, logged every five updates; the earlier session had logged step 445 before it was stopped."""
    cycle = executed(lambda o: OneCycleLR(o, 0.01, total_steps=1073), 700)
    early, late = np.arange(0, 446, 5), np.arange(448, 1069, 5)
    lr, steps = np.concatenate([cycle[early], cycle[late - 444]]), np.concatenate([early, late]).astype(float)
    first, second = fits_of(logged(lr, steps, resumes=(448,) if told else ()))
    assert first.schedule == second.schedule
    assert second.whole.lr_at([444.0])[0] == pytest.approx(0.0004)
    assert second.exact


def test_steps_that_start_over(executed: Callable[..., FloatArray], logged: Callable[..., Any]) -> None:
    """StepLR keeps its value on resume, but its next drop comes step_size after the restart."""
    lr = executed(lambda o: StepLR(o, 100), 250)
    on = executed(lambda o: StepLR(o, 100), 250, lr=float(lr[-1]))
    fits = fits_of(logged(np.concatenate([lr, on]), resumes=(250,)))
    drops = np.flatnonzero(
        np.diff(np.concatenate([fit.whole.lr_at(np.arange(fit.first_step, fit.last_step + 1)) for fit in fits]))
    )
    assert (drops + 1).tolist() == [100, 200, 350, 450]


def test_a_head_that_was_cut_off_is_no_reason_to_invent_a_peak(logged: Callable[..., Any]) -> None:
    """The last part of a run: a straight decline that began somewhere before the log does."""
    steps = np.arange(8010.0, 10001.0, 10.0)
    lr = 5e-4 * (10000.0 - steps) / 2000.0
    (fit,) = fits_of(logged(lr, steps))
    assert fit.family == "LinearLR"
    assert fit.peak_lr == pytest.approx(5e-4)
    assert fit.fit_error < 1e-9


def test_a_plateau_and_then_a_decay_are_one_schedule(logged: Callable[..., Any]) -> None:
    lr = np.concatenate([np.full(700, 3e-4), 3e-4 * (1 - np.arange(300) / 300)])
    (fit,) = fits_of(logged(lr))
    assert fit.family == "WarmupStableDecay"
    assert fit.schedule.params() == {
        "num_stable_steps": 700, "num_decay_steps": 300, "decay_type": "linear", "min_lr_ratio": 0.0,
    }  # fmt: skip


def test_a_hand_edited_lr_is_two_constants(logged: Callable[..., Any]) -> None:
    """Raised by hand in the middle: no family rises in one step."""
    fits = fits_of(logged(np.concatenate([np.full(100, 0.01), np.full(100, 0.02)])))
    assert [fit.family for fit in fits] == ["Constant", "Constant"]
    assert fits[1].first_step == 100.0


def test_noise_is_unknown(logged: Callable[..., Any]) -> None:
    lr = np.random.default_rng(1).uniform(1e-4, 1e-3, 300)
    (fit,) = fits_of(logged(lr))
    assert fit.family == "Unknown"
    assert fit.confidence == 0.0
    assert np.allclose(fit.whole.lr_at(np.arange(300)), lr)


@pytest.mark.parametrize("points", [1, 2])
def test_one_or_two_points_are_no_schedule(points: int, logged: Callable[..., Any]) -> None:
    (fit,) = fits_of(logged(np.full(points, 1e-3)))
    assert fit.family == "Unknown"


def test_a_line_search_is_unknown(logged: Callable[..., Any]) -> None:
    """Levels that go up and down by powers of two follow the loss, not the clock."""
    levels = 1e-4 * 2.0 ** np.array([0, 1, 0, -1, 1, 2, 0, -2, -1, 1, 3, 0])
    (fit,) = fits_of(logged(np.repeat(levels, 7)))
    assert fit.family == "Unknown"


def test_nothing_logged_is_nothing_identified(logged: Callable[..., Any]) -> None:
    assert identify(logged(np.array([np.nan, np.nan]))).groups == ()


def test_missing_and_non_finite_points_are_left_out(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(lambda o: CosineAnnealingLR(o, 500), 500).copy()
    lr[::7] = np.nan
    lr[11] = np.inf
    (fit,) = fits_of(logged(lr))
    assert fit.schedule.params()["T_max"] == 500


def test_groups_of_one_ratio_are_one_schedule_with_factors(
    executed: Callable[..., FloatArray], logged: Callable[..., Any]
) -> None:
    lr = executed(lambda o: LambdaLR(o, lambda k: k / 50 if k < 50 else (500 - k) / 450), 500)
    found = identify(logged(lr, groups={"lr/pg2": 10 * lr, "lr/pg3": np.full(500, 1e-5)}))
    first, second, third = (group.fit for group in found.groups)
    assert second.family == first.family == "LinearLR"
    assert second.peak_lr == pytest.approx(10 * first.peak_lr)
    assert third.family == "Constant"

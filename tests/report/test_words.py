"""The sentences shared by the reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.model.diagnosis import Counterfactual, Diagnosis
from lrdoctor.model.finding import Remedy
from lrdoctor.model.identification import Fit, GroupIdentification, Identification, WarmupShape
from lrdoctor.model.schedule import Schedule
from lrdoctor.report.printable import printable
from lrdoctor.report.words import (
    counterfactual_words,
    factor_words,
    planned_steps,
    schedule_words,
    total_lr_factor,
    verdict_sentence,
)
from lrdoctor.schedules import Constant, CosineAnnealingLR, OneCycleLR, StepLR, Unknown


def fit_of(schedule: Schedule, *, stepped: str | None = "update", per_tick: float = 1.0, last: float = 999.0) -> Fit:
    return Fit(
        schedule=schedule,
        whole=schedule,
        first_step=0,
        last_step=last,
        stepped=stepped,  # type: ignore[arg-type]
        steps_per_tick=per_tick,
        fit_error=4e-3,
        confidence=0.9,
        exact=False,
    )


def test_schedule_built_in_updates_and_stepped_per_epoch_is_planned_in_updates() -> None:
    fit = fit_of(OneCycleLR(0.1, total_steps=10_000), stepped="epoch", per_tick=100, last=9_999)
    assert schedule_words(fit, "update") == "OneCycleLR stepped per epoch, peak 0.1, 10,000 updates planned"


def test_onecycle_of_as_many_ticks_as_epochs_is_planned_in_epochs() -> None:
    fit = fit_of(OneCycleLR(0.1, total_steps=90), stepped="epoch", per_tick=100, last=8_999)
    assert planned_steps(fit) == 9_000


def test_cosine_per_epoch_is_planned_over_its_epochs() -> None:
    fit = fit_of(CosineAnnealingLR(0.1, T_max=90), stepped="epoch", per_tick=100, last=89)
    assert planned_steps(fit) == 9_000


def test_warmup_is_said_in_trajectory_steps() -> None:
    fit = replace(
        fit_of(CosineAnnealingLR(3e-4, T_max=95), stepped="epoch", per_tick=100),
        warmup=WarmupShape("linear", 5, 0.01),
    )
    assert "500 warmup updates" in schedule_words(fit, "update")


def test_schedule_without_an_end_is_not_said_to_be_planned() -> None:
    words = schedule_words(fit_of(StepLR(0.1, step_size=30)), "epoch")
    assert words == "StepLR stepped per update, peak 0.1, step_size 30, gamma 0.1"


def test_unit_that_cannot_be_told_is_left_out() -> None:
    assert "stepped" not in schedule_words(fit_of(StepLR(0.1, step_size=30), stepped=None), "unknown")


def test_constant_and_unknown_are_named_as_such() -> None:
    assert schedule_words(fit_of(Constant(3e-4)), "update") == "constant 3e-4"
    assert schedule_words(fit_of(Unknown((0, 1), (0.1, 0.2))), "update") == "no known schedule"


def test_faulty_verdict_names_fault_and_factor(faulty: Diagnosis) -> None:
    sentence = verdict_sentence(faulty)
    assert sentence.startswith("onecycle-stepped-per-epoch (LR101): ")
    assert "12.4 times less LR" in sentence
    assert "\n" not in sentence


def test_factor_is_executed_over_repaired_lr(faulty: Diagnosis) -> None:
    executed = faulty.trajectory.groups[0]
    assert faulty.remedy is not None
    assert faulty.remedy.schedule is not None
    wanted = executed.lr.sum() / faulty.remedy.schedule.lr_at(executed.steps).sum()
    assert total_lr_factor(faulty) == pytest.approx(wanted)


def test_factor_near_one_is_not_worth_a_word(healthy: Diagnosis) -> None:
    same = healthy.identification.groups[0].fit.whole
    assert factor_words(replace(healthy, remedy=Remedy("as it was", same))) == ""


def test_healthy_verdict_says_what_the_lr_equals_and_that_it_is_not_the_problem(healthy: Diagnosis) -> None:
    assert verdict_sentence(healthy) == (
        "executed LR equals CosineAnnealingLR with 500 warmup updates (peak 3e-4, 5,000 updates planned) "
        "to the rounding of the log: "
        "the LR is not your problem"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (4e-4, "equals CosineAnnealingLR with 500 warmup updates (peak 3e-4, 5,000 updates planned) within 0.1 %"),
        (1e-3, "within 0.1 %"),
        (4e-3, "within 0.4 % of its peak, an approximate fit"),
        (4.12e-3, "within 0.42 %"),
        (4e-3, "LR follows Cosine"),
    ],
)
def test_healthy_verdict_gives_the_fit_error(healthy: Diagnosis, error: float, words: str) -> None:
    fit = replace(healthy.identification.groups[0].fit, exact=False, fit_error=error)
    inexact = replace(healthy, identification=Identification((GroupIdentification("lr", (fit,)),)))
    assert words in verdict_sentence(inexact)


def test_unknown_verdict_says_what_is_missing(unknown: Diagnosis) -> None:
    assert verdict_sentence(unknown) == "not enough was logged to say: No learning rate was logged"
    assert "no learning rate was logged" in verdict_sentence(replace(unknown, findings=()))


def test_estimate_comes_with_its_interval() -> None:
    found = Counterfactual(
        "estimated", observed_final_loss=2.31, estimated_final_loss=2.04, interval_90=(1.98, 2.11), prior_share=0.37
    )
    assert counterfactual_words(found) == (
        "with the fix the final loss would have been 2.04 (90 % interval 1.98 to 2.11) instead of 2.31; "
        "37 % of that rests on the prior"
    )


@pytest.mark.parametrize("interval", [None, (np.nan, 2.1), (1.9, np.inf)])
def test_estimate_without_an_interval_is_never_a_number(interval: tuple[float, float] | None) -> None:
    found = Counterfactual("estimated", estimated_final_loss=2.04, interval_90=interval, direction="lower")
    words = counterfactual_words(found)
    assert "2.04" not in words
    assert "lower" in words


def test_refusal_gives_its_reason_and_no_fix_gives_no_words() -> None:
    assert "no loss was logged" in counterfactual_words(Counterfactual("refused", reason="no loss was logged"))
    assert counterfactual_words(Counterfactual("not-needed")) == ""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("lr\x1b[31mred\x1b[0m", "lrred"),
        ("title\x1b]0;owned\x07end", "titleend"),
        ("two\r\nlines\tand tab", "two lines and tab"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("\x9b2Jclear", "2Jclear"),
        ("bell\x07 null\x00", "bell null"),
        ("Verlust/größe_学習率", "Verlust/größe_学習率"),
        ("\udcff.csv", ".csv"),
    ],
)
def test_control_characters_are_stripped(written: str, shown: str) -> None:
    assert printable(written) == shown

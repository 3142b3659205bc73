"""Where no number is given: every test of the gate, with the reason it prints."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Hint
from lrdoctor.model.trajectory import GroupTrajectory, Segment
from lrdoctor.reconstruct import reconstruct
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, StepLR, Unknown, Warmup
from lrdoctor.simulate.estimate import estimate

FIX = Warmup(CosineAnnealingLR(1e-3, 11_700), 300, 0.01)


def _reason(one, fix=FIX):
    result = estimate(one.run, one.trajectory, one.identification, fix, device="cpu")
    assert result.status == "refused"
    assert result.estimated_final_loss is None
    assert result.interval_90 is None
    assert result.band is None
    return result.reason


def _retrained(one, **changes):
    return replace(one, trajectory=replace(one.trajectory, **changes))


@pytest.fixture(scope="module")
def healthy(case):
    return case()


def test_a_run_that_passes_every_test_is_estimated(healthy):
    result = estimate(healthy.run, healthy.trajectory, healthy.identification, FIX, device="cpu")
    assert (result.status, result.reason) == ("estimated", None)


def test_a_log_that_counts_epochs(healthy):
    assert "counts in epochs" in _reason(_retrained(healthy, step_unit="epoch"))


def test_a_log_that_counts_nobody_knows_what(healthy):
    assert "a unit that cannot be told" in _reason(_retrained(healthy, step_unit="unknown"))


def test_a_run_that_ends_before_the_law_begins(case):
    assert "the run has 501 updates" in _reason(case(steps=600), LinearLR(1e-3, 600))


def test_a_log_whose_steps_can_be_no_updates(healthy):
    assert "the log counts 12,000,000,000 updates" in _reason(_retrained(healthy, steps=12_000_000_000))


def test_no_learning_rate(healthy):
    assert "no learning rate was logged" in _reason(_retrained(healthy, groups=()))


def test_a_learning_rate_of_zero(healthy):
    lead = healthy.trajectory.lead
    dead = replace(lead, lr=np.zeros(len(lead.lr)))
    assert "zero or negative" in _reason(_retrained(healthy, groups=(dead,)))


def test_a_second_attempt_from_scratch_in_one_log(healthy):
    attempts = (Segment(0, 5_000, "a"), Segment(0, 11_900, "a", resumed=False))
    assert "starts over from scratch" in _reason(_retrained(healthy, segments=attempts))


def test_a_hole_in_the_learning_rate_and_no_schedule_to_fill_it(healthy):
    lead = healthy.trajectory.lead
    kept = (lead.steps < 4_000) | (lead.steps > 8_000)
    holed = GroupTrajectory(lead.name, lead.tag, lead.steps[kept], lead.lr[kept], lead.segment[kept])
    with_hole = _retrained(healthy, groups=(holed,))
    assert "gap of 4200 updates" in _reason(replace(with_hole, identification=Identification()))
    fit = healthy.identification.lead.fit
    unknown = replace(fit, schedule=Unknown((0.0, 1.0), (1e-3, 1e-3)))
    group = replace(healthy.identification.lead, fits=(unknown,))
    assert "gap of 4200 updates" in _reason(replace(with_hole, identification=Identification((group,))))
    known = estimate(with_hole.run, with_hole.trajectory, with_hole.identification, FIX, device="cpu")
    assert known.status == "estimated"


def test_parameter_groups_on_different_schedules(healthy):
    lead = healthy.trajectory.lead
    other = replace(lead, name="head", lr=lead.lr * np.linspace(1.0, 0.0, len(lead.lr)))
    assert "'head' follow different schedules" in _reason(_retrained(healthy, groups=(lead, other)))
    scaled = replace(lead, name="head", lr=lead.lr * 0.1)
    both = _retrained(healthy, groups=(lead, scaled))
    assert estimate(both.run, both.trajectory, both.identification, FIX, device="cpu").status == "estimated"


@pytest.mark.parametrize("model", ["resnet50", "vit_base_patch16", "yolov8n"])
def test_a_model_that_reads_no_text(case, model):
    assert f"'{model}' says this run is something else" in _reason(case(model=model))


def test_a_framework_for_images(healthy):
    assert "'timm'" in _reason(replace(healthy, run=replace(healthy.run, framework="timm")))


def test_an_accuracy_beside_the_loss(healthy):
    curve = replace(healthy.trajectory.curves[0], tag="val/accuracy", role="metric")
    assert "'val/accuracy'" in _reason(_retrained(healthy, curves=(*healthy.trajectory.curves, curve)))


def test_an_accuracy_beside_a_perplexity_is_that_of_the_next_token(healthy):
    loss = healthy.trajectory.curves[0]
    beside = [replace(loss, tag=tag, role="metric") for tag in ("val/acc", "val/perplexity")]
    both = _retrained(healthy, curves=(*healthy.trajectory.curves, *beside))
    assert estimate(both.run, both.trajectory, both.identification, FIX, device="cpu").status == "estimated"
    other = replace(loss, tag="val/bbox_mAP", role="metric")
    assert "'val/bbox_mAP'" in _reason(_retrained(both, curves=(*both.trajectory.curves, other)))


def test_a_finetuning(healthy):
    hints = (*healthy.run.hints, Hint("finetune", True, "args.yaml", "init_from"))
    assert "fine-tuning" in _reason(replace(healthy, run=replace(healthy.run, hints=hints)))


@pytest.mark.parametrize(("optimizer", "passes"), [("SGD", False), ("Adafactor", False), ("adamw_torch", True)])
def test_only_adam_and_its_kin(case, optimizer, passes):
    one = case(optimizer=optimizer)
    if passes:
        assert estimate(one.run, one.trajectory, one.identification, FIX, device="cpu").status == "estimated"
    else:
        assert f"this run used {optimizer}" in _reason(one)


@pytest.mark.parametrize("peak", [1e-5, 0.1])
def test_a_peak_outside_the_library(case, peak):
    assert "the run's peak lr" in _reason(case(Warmup(Constant(peak), 300, 0.01)))


def test_a_fix_that_moves_the_peak_too_far(healthy):
    assert "changes the peak lr 0.2-fold" in _reason(healthy, LinearLR(2e-4, 12_000))


def test_where_a_test_fails_by_a_little_the_direction_alone_is_told(case):
    one = case(Warmup(Constant(4e-3), 300, 0.01))
    fix = Warmup(CosineAnnealingLR(4e-3, 11_700), 300, 0.01)
    result = estimate(one.run, one.trajectory, one.identification, fix, device="cpu")
    assert (result.status, result.direction) == ("estimated", "lower")
    assert "the run's peak lr 0.004 is outside" in result.reason
    assert (result.estimated_final_loss, result.interval_90, result.band) == (None, None, None)


def test_a_doubt_about_an_unclear_direction_is_a_refusal(case):
    low = case(Warmup(Constant(1.4e-4), 300, 0.01))
    assert "the run's peak lr 0.00014 is outside" in _reason(low, Warmup(Constant(1.3e-4), 300, 0.01))


def test_a_run_shorter_than_any_of_the_library_gets_a_direction_at_most(case):
    one = case(steps=2_500, log_every=20)
    result = estimate(one.run, one.trajectory, one.identification, Constant(1e-3), device="cpu")
    assert result.estimated_final_loss is None
    assert "updates, and the loss law is tested on runs of 3,000" in result.reason


def test_a_fix_without_a_learning_rate(healthy):
    assert "no positive learning rate" in _reason(healthy, Constant(0.0))


def test_a_fix_whose_peak_the_library_does_not_hold(case):
    one = case(Warmup(Constant(3e-3), 300, 0.01))
    assert "the fix's peak lr" in _reason(one, StepLR(7e-3, 5_000))


def test_no_loss_at_all(healthy):
    spec = synth.run(Constant(1e-3), steps=12_000, log_every=100, loss=None, optimizer="AdamW")
    run = spec.build()
    silent = replace(healthy, run=run, trajectory=reconstruct(run))
    assert "no loss was logged" in _reason(silent)


def test_a_run_too_short_to_fit(case):
    one = case(steps=2_000)
    assert "losses lie after update 800" in _reason(one, LinearLR(1e-3, 2_000))


def _exploding(law, at, height):
    def losses(done):
        values = law(Warmup(Constant(1e-3), 300, 0.01), 12_000, done)
        return np.where(done > at, values + height, values)

    return losses


@pytest.mark.parametrize("height", [2.0, np.nan])
def test_a_run_that_diverged_early(case, law, height):
    assert re.search(r"diverges near update (3[89]|4[01])\d\d,", _reason(case(losses=_exploding(law, 4_050, height))))


@pytest.mark.parametrize("height", [2.0, np.nan])
def test_of_a_run_that_diverged_late_only_what_came_before_counts(case, law, height):
    one, whole = case(losses=_exploding(law, 9_050, height)), case()
    result = estimate(one.run, one.trajectory, one.identification, FIX, device="cpu")
    healthy = estimate(whole.run, whole.trajectory, whole.identification, FIX, device="cpu")
    assert (result.status, result.direction, result.observed_final_loss) == ("estimated", "lower", None)
    assert result.estimated_final_loss == pytest.approx(healthy.estimated_final_loss, abs=0.01)
    assert np.ptp(result.interval_90) > np.ptp(healthy.interval_90)
    assert re.search(r"diverged after update (8[89]|9[01])\d\d;", result.notes[0])


@pytest.mark.parametrize("level", [0.4, 9.0])
def test_a_loss_that_is_not_one_of_tokens(case, law, level):
    def moved(done):
        return law(Warmup(Constant(1e-3), 300, 0.01), 12_000, done) - 3.2 + level

    assert "nats per token" in _reason(case(losses=moved))


def test_losses_that_fall_as_no_models_of_the_library_do(case, law, theta):
    def steep(done):
        return law(Warmup(Constant(1e-3), 300, 0.01), 12_000, done, theta + np.array([0, 0.6, 0.6, 0, 0, 0, 0]))

    assert "as those of no model of the library do" in _reason(case(losses=steep))


def test_a_misfit_that_only_a_named_language_model_may_have(case, law, without_beginning):
    def wavy(done):
        values = law(Warmup(Constant(1e-3), 300, 0.01), 12_000, done)
        return np.where(done < 800, values, values * (1.0 + 0.007 * np.sin(done / 600)))

    named, unnamed = (case(losses=wavy, model=model) for model in ("llama-124M", "net"))
    assert estimate(named.run, named.trajectory, named.identification, FIX, device="cpu").status == "estimated"
    assert "(at most 0.4% is a fit)" in _reason(without_beginning(unnamed))


def test_a_loss_that_hardly_falls(case):
    assert "no training from scratch" in _reason(case(losses=lambda done: 3.0 - 1e-5 * done / 100))


def test_a_loss_the_law_cannot_follow(case, law):
    def wavy(done):
        return law(Warmup(Constant(1e-3), 300, 0.01), 12_000, done) + 0.15 * np.sin(done / 600)

    assert "misses this run's own losses" in _reason(case(losses=wavy))


@pytest.mark.parametrize("steps", [2_000, 12_000])
def test_every_refusal_about_the_run_says_what_to_try(case, steps):
    one = case(steps=steps, model="resnet50") if steps > 2_000 else case(steps=steps)
    reason = _reason(one, LinearLR(1e-3, steps))
    assert "log the loss more often" in reason or "train a branch" in reason

"""From a run to the loss of its fix, end to end."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.errors import MissingExtraError, UsageError
from lrdoctor.identify import identify
from lrdoctor.model.diagnosis import Counterfactual
from lrdoctor.model.identification import Identification
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Stepped, Warmup
from lrdoctor.simulate.estimate import BAND_POINTS, NUMPY, estimate
from lrdoctor.simulate.executed import executed_lr, warmup_updates
from lrdoctor.simulate.losses import losses_of
from lrdoctor.simulate.words import describe

STEPS = 12_000
COSINE = Warmup(CosineAnnealingLR(1e-3, STEPS - 300), 300, 0.01)
FLAT = Warmup(Constant(1e-3), 300, 0.01)


@pytest.fixture(scope="module")
def flat(case):
    return case(FLAT)


def _estimate(one, fix, device="cpu"):
    return estimate(one.run, one.trajectory, one.identification, fix, device=device)


@pytest.mark.parametrize(
    ("executed", "fix", "direction"), [(FLAT, COSINE, "lower"), (COSINE, FLAT, "higher"), (COSINE, COSINE, "unclear")]
)
def test_the_interval_holds_the_planted_truth_and_the_direction_follows(case, law, executed, fix, direction):
    one = case(executed, noise=0.005)
    result = _estimate(one, fix)
    low, high = result.interval_90
    truth = law(fix, STEPS, np.array([float(one.trajectory.steps)]))[0]
    assert low < result.estimated_final_loss < high
    assert low < truth < high
    assert result.direction == direction
    assert 0.0 <= result.prior_share <= 1.0


@pytest.mark.parametrize(("executed", "fix"), [(FLAT, COSINE), (COSINE, FLAT), (LinearLR(1e-3, STEPS), COSINE)])
def test_identified_from_the_log_the_answer_is_that_of_the_known_schedule(case, executed, fix):
    one = case(executed)
    known = _estimate(one, fix)
    read = _estimate(replace(one, identification=identify(one.trajectory)), fix)
    assert read.estimated_final_loss == pytest.approx(known.estimated_final_loss, abs=2e-3)
    np.testing.assert_allclose(read.interval_90, known.interval_90, atol=3e-3)


def test_the_band_spans_the_run_and_is_ordered(flat):
    band = _estimate(flat, COSINE).band
    assert len(band.steps) == BAND_POINTS
    assert band.steps[-1] == flat.trajectory.steps - 1
    assert (np.diff(band.steps) > 0).all()
    assert (band.low < band.median).all()
    assert (band.median < band.high).all()


def test_the_end_of_the_band_is_the_estimate(flat):
    result = _estimate(flat, COSINE)
    assert result.band.median[-1] == result.estimated_final_loss
    assert (result.band.low[-1], result.band.high[-1]) == result.interval_90


def test_the_same_run_gives_the_same_numbers(flat):
    one, two = _estimate(flat, COSINE), _estimate(flat, COSINE)
    assert (one.estimated_final_loss, one.interval_90) == (two.estimated_final_loss, two.interval_90)


def test_evaluation_losses_go_before_training_losses(case, law):
    one = case(FLAT, noise=0.2)
    clean = law(FLAT, STEPS, one.trajectory.curves[0].steps + 1.0) + 0.1
    evaluation = replace(one.trajectory.curves[0], tag="val/loss", role="eval-loss", values=clean)
    trajectory = replace(one.trajectory, curves=(*one.trajectory.curves, evaluation))
    result = _estimate(replace(one, trajectory=trajectory), COSINE)
    assert result.observed_final_loss == pytest.approx(clean[-1])


def test_noisy_training_losses_are_binned(case):
    one = case(FLAT, log_every=2, noise=0.05)
    losses = losses_of(one.trajectory, 800.0)
    assert losses.role == "train-loss"
    assert len(losses.n) <= 40
    assert losses.n[0] >= 800
    assert (losses.sigma > 0.003).all()
    assert _estimate(one, COSINE).status == "estimated"


def test_a_noisier_run_gets_no_narrower_an_interval(case):
    quiet, noisy = (_estimate(case(FLAT, log_every=20, noise=noise), COSINE).interval_90 for noise in (0.0, 0.05))
    assert noisy[1] - noisy[0] >= quiet[1] - quiet[0]


def test_a_model_nobody_calls_a_language_model_gets_a_wider_interval(case, without_beginning):
    named, unnamed = (without_beginning(case(FLAT, model=model)) for model in ("llama-124M", "net"))
    narrow, wide = (_estimate(one, COSINE).interval_90 for one in (named, unnamed))
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_a_fix_on_a_clock_of_its_own_is_taken_update_for_update(flat):
    per_update = _estimate(flat, CosineAnnealingLR(1e-3, STEPS))
    per_epoch = _estimate(flat, Stepped(CosineAnnealingLR(1e-3, 1_200), 10, "epoch"))
    assert per_epoch.estimated_final_loss == pytest.approx(per_update.estimated_final_loss, abs=1e-3)


def test_the_executed_lr_comes_from_the_schedule_where_it_fits(case):
    one = case(COSINE, log_every=500)
    updates = np.arange(one.trajectory.steps)
    np.testing.assert_allclose(executed_lr(one.trajectory, one.identification), COSINE.lr_at(updates))
    drawn = executed_lr(one.trajectory, Identification())
    np.testing.assert_allclose(drawn[::500], COSINE.lr_at(updates[::500]))
    assert np.max(np.abs(drawn - COSINE.lr_at(updates))) > 1e-5  # straight lines between the points


def test_the_warmup_is_the_identified_one_else_the_way_to_the_peak(case):
    one = case(COSINE)
    lr = executed_lr(one.trajectory, one.identification)
    assert warmup_updates(lr, one.identification) == 300
    assert warmup_updates(lr, Identification()) == pytest.approx(285, abs=3)
    assert warmup_updates(LinearLR(1e-3, STEPS, 0.1, 1.0).lr_at(np.arange(STEPS)), Identification()) == 0


def test_on_torch_the_numbers_are_those_of_numpy(flat, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("lrdoctor.simulate.device.resolve_device", lambda _: torch.device("meta"))
    from lrdoctor.simulate import f7_torch

    on_cpu = f7_torch.loss_on
    monkeypatch.setattr(f7_torch, "loss_on", lambda _, theta, grid: on_cpu(torch.device("cpu"), theta, grid))
    accelerated, plain = _estimate(flat, COSINE, "auto"), _estimate(flat, COSINE)
    assert accelerated.device == "meta"
    np.testing.assert_allclose(accelerated.interval_90, plain.interval_90, rtol=0, atol=1e-9)


def test_without_torch_auto_computes_the_same_in_numpy(flat, monkeypatch):
    with_torch = _estimate(flat, COSINE, "auto")
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    without = _estimate(flat, COSINE, "auto")
    assert without.device == NUMPY
    assert without.estimated_final_loss == with_torch.estimated_final_loss
    np.testing.assert_allclose(without.interval_90, with_torch.interval_90, rtol=0, atol=1e-9)
    with pytest.raises(MissingExtraError):
        _estimate(flat, COSINE, "cuda")


def test_an_absent_device_is_a_usage_error_even_where_the_gate_refuses(case, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError):
        _estimate(case(model="resnet50"), COSINE, "cuda")


def test_the_sentence_holds_estimate_interval_and_share_of_the_prior(flat):
    text = describe(_estimate(flat, COSINE))
    assert "90 % interval" in text
    assert "known from other models" in text
    assert "could as well be none" not in text


def test_an_unclear_direction_is_said_so(case):
    assert "could as well be none" in describe(_estimate(case(COSINE), COSINE))


def test_a_refusal_is_told_with_its_reason():
    assert describe(Counterfactual("refused", reason="no loss was logged")) == "refused: no loss was logged"
    assert "nothing to re-simulate" in describe(Counterfactual("not-needed"))

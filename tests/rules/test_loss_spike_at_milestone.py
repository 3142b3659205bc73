"""LR503 on torch's StepLR and MultiStepLR beside losses with and without a jump."""

from __future__ import annotations

import pytest

from lrdoctor import synth


def steps(torch, optimizer):
    return torch.StepLR(optimizer, 10)


def milestones(torch, optimizer):
    return torch.MultiStepLR(optimizer, [10, 20], 0.2)


def codes(findings):
    return [finding.code for finding in findings]


@pytest.fixture
def staircase(train):
    """30 epochs of 30 updates, the learning rate divided by ten after 10 and 20 of them."""
    return train(steps, 900, per=30)


@pytest.mark.parametrize("build", [steps, milestones])
@pytest.mark.parametrize("at", [300, 600])
def test_a_jump_at_a_milestone_fires(train, diagnose, build, at):
    executed = train(build, 900, per=30)
    (finding,) = diagnose(executed, steps_per_epoch=30, spikes=(synth.Spike(at, 2.0),))
    assert (finding.code, finding.severity, finding.first_step) == ("LR503", "warning", at)
    assert finding.evidence["lr_ratio"] == pytest.approx(0.1 if build is steps else 0.2)
    assert finding.evidence["loss_after"] - finding.evidence["loss_before"] == pytest.approx(2.0, abs=0.1)
    assert finding.evidence["recovers"] is False


def test_a_jump_that_recovers_is_said_to(staircase, diagnose):
    (finding,) = diagnose(staircase, steps_per_epoch=30, spikes=(synth.Spike(300, 2.0, lasts=40),))
    assert finding.evidence["recovers"] is True
    assert "recovers" in finding.message


def test_a_sparse_loss_is_enough(staircase, diagnose):
    (finding,) = diagnose(staircase, steps_per_epoch=30, log_every=30, spikes=(synth.Spike(300, 2.0),))
    assert finding.code == "LR503"


SILENT = {
    "the loss is calm": {},
    "it rises by 4 %": {"loss": synth.Loss(noise=0.001), "spikes": (synth.Spike(300, 0.14),)},
    "it jumps between milestones": {"spikes": (synth.Spike(450, 2.0),)},
    "it jumps at every epoch": {"loss": synth.Loss(sawtooth=1.5)},
    "a sawtooth logged every tenth update": {"loss": synth.Loss(sawtooth=1.5), "log_every": 10},
    "it is noisy": {"loss": synth.Loss(noise=0.8)},
    "it is noisy and logged once an epoch": {"loss": synth.Loss(noise=0.8), "log_every": 30},
    "it jumps where a session was resumed": {"spikes": (synth.Spike(300, 2.0),), "resume_at": (300,)},
    "it falls": {"spikes": (synth.Spike(300, -1.0),)},
    "it is not logged": {"loss": None},
    "it breaks at the milestone": {"loss": synth.Loss(breaks_at=300)},
}


@pytest.mark.parametrize("settings", SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(staircase, diagnose, settings):
    assert codes(diagnose(staircase, steps_per_epoch=30, **settings)) == []


def test_noise_alone_never_fires(staircase, diagnose, monkeypatch):
    for seed in range(20):
        monkeypatch.setattr(synth, "NOISE_SEED", seed)
        for noise in (0.05, 0.3, 1.0):
            assert codes(diagnose(staircase, steps_per_epoch=30, loss=synth.Loss(noise=noise))) == []


def test_the_mean_of_an_epoch_logged_at_every_update_has_the_scatter_of_epochs(train, diagnose, monkeypatch):
    executed = train(lambda torch, opt: torch.MultiStepLR(opt, [*range(10, 60, 4)], 0.5), 1800, per=30)
    for seed in range(12):
        monkeypatch.setattr(synth, "NOISE_SEED", seed)
        assert codes(diagnose(executed, steps_per_epoch=30, loss=synth.Loss(0.2, fall=0.3, noise=0.02, held=30))) == []
    (finding,) = diagnose(executed, steps_per_epoch=30, loss=synth.Loss(held=30), spikes=(synth.Spike(660, 2.0),))
    assert finding.code == "LR503"


def test_the_milestone_is_what_is_blamed_not_a_cosine(train, diagnose):
    executed = train(lambda torch, opt: torch.CosineAnnealingLR(opt, 900), 900)
    assert codes(diagnose(executed, spikes=(synth.Spike(300, 2.0),))) == []

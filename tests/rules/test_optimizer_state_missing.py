"""LR202 on torch optimizers that lose their state on a resume."""

from __future__ import annotations

import pytest

from lrdoctor import synth

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
AT, STEPS = 120, 300
SPIKE = (synth.Spike(AT, 1.5, lasts=60),)


@pytest.fixture
def resumed(script):
    """Updates with a cosine, resumed at 120 with the scheduler's state, and with the optimizer's only if `kept`."""

    def run(kind="AdamW", kept=False, save_at=(AT, STEPS), first=True):
        def session():
            opt = script.optimizer(kind, lr=0.01)
            return opt, schedulers.CosineAnnealingLR(opt, STEPS)

        opt, sched = session()
        for update in range(STEPS):
            if update == AT:
                old, clock, lr = opt.state_dict(), sched.state_dict(), opt.param_groups[0]["lr"]
                opt, sched = session()
                if kept:
                    opt.load_state_dict(old)
                opt.param_groups[0]["lr"] = lr
                sched.load_state_dict(clock)
            script.update(opt)
            sched.step()
            if update + 1 in save_at:
                script.save(opt if first or update + 1 > AT else None, sched)
        return script.executed

    return run


def active(findings):
    return [(found.code, found.severity) for found in findings]


def test_a_fresh_adam_moves_each_weight_by_the_learning_rate_whatever_the_gradient():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.Adam([weight], lr=1e-3)
    weight.grad = torch.tensor([1e-6])
    optimizer.step()
    assert 1.0 - weight.item() == pytest.approx(9.9e-4, rel=1e-2)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "NAdam", "RMSprop"])
def test_the_counters_of_two_checkpoints_tell_it(resumed, diagnose, kind):
    (finding,) = diagnose(resumed(kind), complete=True)
    assert (finding.code, finding.severity, finding.first_step) == ("LR202", "error", AT)
    assert (finding.evidence["optimizer_updates"], finding.evidence["expected_updates"]) == (STEPS - AT, STEPS)


def test_weights_and_scheduler_saved_without_the_optimizer(resumed, diagnose):
    assert active(diagnose(resumed(first=False), complete=True)) == [("LR202", "error")]


def test_one_checkpoint_and_a_logged_resume_are_enough(resumed, diagnose):
    executed = resumed(save_at=(STEPS,))
    assert active(diagnose(executed, resume_at=(AT,), complete=True)) == [("LR202", "error")]
    assert diagnose(executed, complete=True) == []  # nothing says that anything happened at 120


def test_the_loss_is_told_beside_the_counts(resumed, diagnose):
    (finding,) = diagnose(resumed(), resume_at=(AT,), spikes=SPIKE, complete=True)
    assert finding.evidence["loss_after"] - finding.evidence["loss_before"] == pytest.approx(1.3, abs=0.1)


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_the_loss_alone_is_a_warning_for_adam(resumed, diagnose, kind):
    executed = resumed(kind, save_at=())
    found = diagnose(executed, resume_at=(AT,), spikes=SPIKE, optimizer=kind, complete=True)
    assert active(found) == ([("LR202", "warning")] if kind == "Adam" else [])


def test_a_checkpoint_without_an_optimizer_at_the_jump_makes_it_an_error(resumed, diagnose):
    executed = resumed(save_at=(AT,), first=False)
    found = diagnose(executed, resume_at=(AT,), spikes=SPIKE, optimizer="Adam", complete=True)
    assert ("LR202", "error") in active(found)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
def test_a_full_resume_is_silent(resumed, diagnose, kind):
    assert diagnose(resumed(kind, kept=True), resume_at=(AT,), complete=True) == []


def test_momentum_without_a_count_is_not_judged_by_counters(resumed, diagnose):
    assert diagnose(resumed("SGD"), resume_at=(AT,), complete=True) == []


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_noise_at_a_resume_is_silent(resumed, diagnose, noise):
    executed = resumed(kept=True, save_at=())
    found = diagnose(executed, resume_at=(AT,), loss=synth.Loss(noise=noise), optimizer="Adam", complete=True)
    assert found == []


def test_a_meter_that_restarts_each_epoch_is_silent(resumed, diagnose):
    executed = resumed(kept=True, save_at=())
    sawtooth = synth.Loss(sawtooth=1.5)
    found = diagnose(executed, resume_at=(AT,), steps_per_epoch=30, loss=sawtooth, optimizer="Adam", complete=True)
    assert found == []


@pytest.mark.parametrize(("complete", "severity"), [(False, "error"), (None, "warning"), (True, "info")])
def test_an_optimizer_without_state_counts_by_whether_it_may_be_resumed(script, diagnose, complete, severity):
    used = script.optimizer("Adam")
    sched = schedulers.CosineAnnealingLR(used, STEPS)
    for _ in range(STEPS):
        script.update(used)
        sched.step()
    script.save(script.optimizer("Adam"), None)
    assert ("LR202", severity) in active(diagnose(script.executed, complete=complete))


def test_two_optimizers_counted_together_are_silent(script, diagnose):
    """Lightning's global step counts the updates of both optimizers of a GAN."""
    opt = script.optimizer("Adam")
    for _ in range(STEPS):
        script.update(opt)
        if len(script.lrs) in (150, 300):
            script.save(opt, None, global_step=2 * len(script.lrs))
    assert diagnose(script.executed, complete=None) == []

"""LR107 on torch warmups counted in the wrong unit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
N, EPOCHS = 30, 10


def warm(length, rest=N * EPOCHS):
    def build(torch, opt):
        ramp = torch.LinearLR(opt, 0.01, total_iters=length)
        return torch.SequentialLR(opt, [ramp, torch.CosineAnnealingLR(opt, rest - length)], milestones=[length])

    return build


def linear(warmup, total):
    """transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)."""

    def factor(step):
        return step / max(1, warmup) if step < warmup else max(0.0, (total - step) / max(1, total - warmup))

    return lambda torch, opt: torch.LambdaLR(opt, factor)


@pytest.fixture
def ask(train, diagnose):
    def asked(build, declared, per=1, save_at=(), **settings):
        executed = train(build, N * EPOCHS, per=per, save_at=save_at, optimizer="Adam", updates_per_epoch=N)
        findings = diagnose(executed, steps_per_epoch=N, complete=True, declared=declared, **settings)
        return [found for found in findings if found.code == "LR107"]

    return asked


@pytest.mark.parametrize("epochs", [3, 5])
@pytest.mark.parametrize("build", [warm, lambda n: linear(n, N * EPOCHS)], ids=["torch", "transformers"])
def test_updates_for_epochs(ask, epochs, build):
    (finding,) = ask(build(epochs), {"warmup_epochs": epochs})
    assert finding.severity == "error"
    assert (finding.evidence["warmup_updates"], finding.evidence["expected_warmup_updates"]) == (epochs, N * epochs)
    assert finding.remedy.schedule.steps == N * epochs


def test_epochs_for_updates_is_seen_long_before_the_warmup_ends(ask):
    """A warmup of 200 stepped in 10 epochs reaches 5.5 % of the peak."""
    (finding,) = ask(warm(200, 300), {"warmup_steps": 200, "lr": 0.1}, per=N)
    assert finding.evidence["warmup_updates"] == 200 * N
    assert "30 times too long" in finding.message


def test_epochs_for_updates_where_the_warmup_ends(ask):
    (finding,) = ask(warm(6, 60), {"warmup_steps": 6}, per=N)
    assert (finding.evidence["warmup_updates"], finding.evidence["expected_warmup_updates"]) == (6 * N, 6)


def test_a_checkpoint_is_enough_for_epochs_for_updates(ask):
    (finding,) = ask(warm(200, 300), {"epochs": EPOCHS}, per=N, save_at=(N * EPOCHS,), log_lr=False)
    assert finding.severity == "error"


def test_a_checkpoint_is_enough_for_updates_for_epochs(ask):
    (finding,) = ask(warm(3), {"warmup_epochs": 3}, save_at=(N * EPOCHS,), log_lr=False)
    assert finding.evidence["expected_warmup_updates"] == 3 * N


def test_swapped_arguments(ask):
    (finding,) = ask(linear(N * EPOCHS, 30), {"warmup_steps": 30, "lr": 0.1})
    assert "swapped" in finding.message
    assert finding.remedy.schedule.steps == 30


def test_a_warmup_within_the_first_epoch_alone(ask, script, diagnose):
    """The learning rate is set by hand from the batch's index while the epoch is the first."""
    opt = script.optimizer()
    for epoch in range(EPOCHS):
        for batch in range(N):
            opt.param_groups[0]["lr"] = 0.1 * (batch + 1) / 100 if epoch == 0 else 0.1
            script.update(opt)
    (finding,) = diagnose(script.executed, steps_per_epoch=N, complete=True, declared={"warmup_steps": 100})
    assert (finding.code, finding.first_step) == ("LR107", N)
    assert (finding.evidence["observed_lr"], finding.evidence["expected_lr"]) == pytest.approx((0.1, 0.031), rel=1e-3)


@pytest.mark.parametrize(
    ("build", "declared", "per"),
    [
        (warm(90), {"warmup_epochs": 3}, 1),
        (warm(3), {"warmup_steps": 3}, 1),
        (warm(3), {}, 1),
        (warm(3, EPOCHS), {"warmup_epochs": 3}, N),
        (linear(60, N * EPOCHS), {"warmup_steps": 60}, 1),
        (linear(60, N * EPOCHS), {"warmup_steps": 60, "warmup_epochs": 2}, 1),
        (linear(0, N * EPOCHS), {"warmup_steps": 0}, 1),
        (lambda torch, opt: torch.LinearLR(opt, 0.01, total_iters=N * EPOCHS), {"lr": 0.1}, 1),
        (lambda torch, opt: torch.OneCycleLR(opt, 0.1, total_steps=N * EPOCHS), {"warmup_epochs": 3}, 1),
    ],
)
def test_warmups_as_they_were_meant_are_silent(ask, build, declared, per):
    assert ask(build, declared, per=per, save_at=(N * EPOCHS,)) == []

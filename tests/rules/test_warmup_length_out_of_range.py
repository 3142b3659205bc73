"""LR502 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def ramp(total, start=0.01):
    return lambda torch, optimizer: torch.LinearLR(optimizer, start, 1.0, total)


def warmed(warmup, total):
    def build(torch, optimizer):
        first = torch.LinearLR(optimizer, 0.01, total_iters=warmup)
        rest = torch.CosineAnnealingLR(optimizer, total - warmup)
        return torch.SequentialLR(optimizer, [first, rest], [warmup])

    return build


def cycle(total, share=0.3):
    return lambda torch, optimizer: torch.OneCycleLR(optimizer, 0.1, total, pct_start=share)


def found(findings):
    return [finding for finding in findings if finding.code == "LR502"]


@pytest.mark.parametrize(("total", "per"), [(2000, 1), (620, 1), (50, 20)])
def test_it_fires_where_the_warmup_never_ends(train, diagnose, total, per):
    executed = train(ramp(total), 600, per=per)
    (finding,) = diagnose(executed, float32=True, steps_per_epoch=20, complete=True)
    assert (finding.code, finding.severity) == ("LR502", "error")
    assert finding.evidence["reached_lr"] == pytest.approx(executed.lrs[-1], rel=1e-6)
    assert found(diagnose(executed, steps_per_epoch=20, complete=None)) == []


def test_it_fires_on_two_points_of_a_run_of_two_epochs(train, diagnose):
    executed = train(ramp(100), 21)
    (finding,) = found(diagnose(executed, steps_per_epoch=20, log_every=20, complete=True, declared={"lr": 0.1}))
    assert finding.evidence["declared_lr"] == 0.1


@pytest.mark.parametrize(
    ("build", "per", "share"),
    [(warmed(240, 600), 1, 0.4), (cycle(600, 0.6), 1, 0.6), (warmed(12, 30), 20, 0.4)],
)
def test_it_fires_where_the_warmup_takes_the_run(train, diagnose, build, per, share):
    (finding,) = found(diagnose(train(build, 600, per=per), float32=True, steps_per_epoch=20, complete=True))
    assert finding.severity == "warning"
    assert finding.evidence["warmup_fraction"] == pytest.approx(share, abs=0.01)


def test_its_remedy_is_what_torch_executes_with_a_shorter_warmup(train, diagnose):
    (finding,) = found(diagnose(train(warmed(240, 600), 600), complete=True))
    wanted = np.array(train(warmed(30, 600), 600).lrs)
    assert finding.evidence["proposed_warmup_steps"] == 30
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted, abs=1e-9)


GPT = {"optimizer": "AdamW", "declared": {"model": "gpt2", "finetune": False}}


def test_it_fires_on_a_few_updates_for_adam_on_a_transformer(train, diagnose):
    (finding,) = found(diagnose(train(warmed(4, 600), 600), complete=True, **GPT))
    assert finding.evidence["problem"] == "short"
    assert finding.evidence["proposed_warmup_steps"] == 30


SILENT = {
    "5 %": (warmed(30, 600), 600, 1, GPT),
    "30 %": (warmed(180, 600), 600, 1, {}),
    "one cycle": (cycle(600), 600, 1, {}),
    "one cycle of halves": (cycle(600, 0.5), 600, 1, {}),
    "5 of 30 epochs": (warmed(5, 30), 600, 20, {}),
    "a few updates with SGD": (warmed(4, 600), 600, 1, {"optimizer": "SGD"}),
    "a few updates of fine-tuning": (
        warmed(4, 600), 600, 1, {"optimizer": "AdamW", "declared": {"model": "gpt2", "finetune": True}}),
    "a warmup and then constant": (ramp(60), 600, 1, {}),
    "constant": (lambda torch, opt: torch.ConstantLR(opt, 1.0, 1), 600, 1, {}),
    "a range test": (lambda torch, opt: torch.LambdaLR(opt, lambda t: 1e-5 * 10 ** (t / 120)), 600, 1, {}),
}  # fmt: skip


@pytest.mark.parametrize(("build", "steps", "per", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per, settings):
    assert found(diagnose(train(build, steps, per=per), steps_per_epoch=20, complete=True, **settings)) == []

"""LR301 on learning rates that torch's schedulers executed."""

from __future__ import annotations

import numpy as np
import pytest


def line(total, end=0.0):
    return lambda torch, optimizer: torch.LinearLR(optimizer, 1.0, end, total)


def power(total):
    return lambda torch, optimizer: torch.PolynomialLR(optimizer, total, 2.0)


def hugging_face(total, warmup=50):
    """The formula of get_linear_schedule_with_warmup."""

    def factor(step):
        return step / warmup if step < warmup else max(0.0, (total - step) / (total - warmup))

    return lambda torch, optimizer: torch.LambdaLR(optimizer, factor)


def held_cosine(step):
    return 0.01 + 0.495 * (1 + np.cos(np.pi * min(step, 300) / 300))


class Swallowed:
    """One cycle whose refusal to go on is ignored, as accelerate does."""

    def __init__(self, inner):
        self.inner = inner
        self.state_dict, self.load_state_dict = inner.state_dict, inner.load_state_dict

    def step(self):
        if self.inner.last_epoch < self.inner.total_steps - 1:
            self.inner.step()


def swallowed(total):
    return lambda torch, optimizer: Swallowed(torch.OneCycleLR(optimizer, 0.1, total))


def found(findings):
    return [finding for finding in findings if finding.code == "LR301"]


def test_one_cycle_refuses_to_go_on(train):
    with pytest.raises(ValueError, match="Tried to step 101 times"):
        train(lambda torch, optimizer: torch.OneCycleLR(optimizer, 0.1, 100), 101)


@pytest.mark.parametrize(
    ("build", "per", "share"),
    [(line(300), 1, 0.5), (power(480), 1, 0.2), (hugging_face(450), 1, 0.25), (line(18), 20, 0.4),
     (swallowed(400), 1, 0.335)],
)  # fmt: skip
def test_it_fires_where_the_end_came_too_early(train, diagnose, build, per, share):
    (finding,) = diagnose(train(build, 600, per=per), float32=True, steps_per_epoch=20, complete=True)
    assert (finding.code, finding.severity) == ("LR301", "error")
    assert finding.evidence["idle_fraction"] == pytest.approx(share, abs=2e-3)


def test_its_remedy_is_the_line_torch_executes_over_the_run(train, diagnose):
    (finding,) = diagnose(train(hugging_face(450), 600), complete=True)
    wanted = np.array(train(hugging_face(600), 600).lrs)
    assert finding.remedy.schedule.lr_at(np.arange(600)) == pytest.approx(wanted, abs=1e-9)


def test_it_fires_on_the_counters_of_a_checkpoint(train, diagnose):
    (finding,) = found(diagnose(train(line(300), 500, optimizer="Adam", save_at=(500,)), log_lr=False))
    assert finding.evidence["idle_fraction"] == pytest.approx(0.4)


def test_it_fires_on_a_cycle_that_stopped_counting(train, diagnose):
    executed = train(lambda torch, opt: _Full(torch.OneCycleLR(opt, 0.1, 200)), 300, optimizer="Adam", save_at=(300,))
    (finding,) = found(diagnose(executed, log_lr=False))
    assert finding.evidence["built_for_steps"] == 200
    assert finding.evidence["steps_made"] == 300


class _Full(Swallowed):
    def step(self):
        if self.inner.last_epoch < self.inner.total_steps:
            self.inner.step()


SILENT = {
    "a line over the run": (line(600), 600, 1),
    "a line that ended two updates before": (line(598), 600, 1),
    "a line to a tenth, held": (line(300, 0.1), 600, 1),
    "a line per epoch": (line(30), 600, 20),
    "one cycle per epoch": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 31), 600, 20),
    "one cycle": (lambda torch, opt: torch.OneCycleLR(opt, 0.1, 600), 600, 1),
    "a steep polynomial over the run": (lambda torch, opt: torch.PolynomialLR(opt, 600, 4.0), 600, 1),
    "a cosine held at 1 %": (lambda torch, opt: torch.LambdaLR(opt, held_cosine), 600, 1),
    "small steps": (lambda torch, opt: torch.MultiStepLR(opt, [200, 400], 0.01), 600, 1),
}  # fmt: skip


@pytest.mark.parametrize(("build", "steps", "per"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, steps, per):
    executed = train(build, steps, per=per, optimizer="Adam", save_at=(steps,))
    assert found(diagnose(executed, steps_per_epoch=20, complete=True)) == []
    assert found(diagnose(executed, steps_per_epoch=20, log_lr=False)) == []


def test_a_tail_that_only_reads_zero_is_silent(train, diagnose):
    """A log of five decimals prints 1e-6 as 0.0."""
    lrs = np.round(train(lambda torch, opt: torch.MultiStepLR(opt, [300, 450]), 600, lr=1e-4).lrs, 5)
    assert found(diagnose(lrs.tolist(), complete=True)) == []

"""LR505 on a range test that torch ran, beside trainings of the same model."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.engine import Evidence, apply_rules, load_rules, sibling_of
from lrdoctor.identify import identify
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Hint, Run, Series
from lrdoctor.reconstruct import reconstruct
from lrdoctor.resources import rules_dir

torch = pytest.importorskip("torch")
DIRECTIONS = torch.logspace(0, -1, 20)


def train(lr, factor, steps):
    """(lr, loss) of every update of noisy gradient descent on a quadratic, which diverges beyond lr = 2 / curvature."""
    noise = torch.Generator().manual_seed(1)
    weights = torch.nn.Parameter(torch.ones(20))
    optimizer = torch.optim.SGD([weights], lr=lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    seen = []
    for _ in range(steps):
        loss = 0.5 * (DIRECTIONS * weights**2).sum() + 0.5
        seen.append((float(optimizer.param_groups[0]["lr"]), min(float(loss.detach()), 1e30)))
        optimizer.zero_grad()
        loss.backward()
        weights.grad += 0.05 * torch.randn(20, generator=noise)
        optimizer.step()
        scheduler.step()
    return list(zip(*seen, strict=True))


def run_of(columns, path, optimizer="SGD"):
    lrs, losses = columns
    steps = np.arange(len(lrs), dtype=np.float64)
    lines = ints(np.arange(2, len(lrs) + 2))
    series = tuple(
        Series(f"{path}/log.csv", tag, floats(values), {"step": floats(steps)}, lines, "csv")
        for tag, values in (("train/lr", lrs), ("train/loss", losses))
    )
    return Run(path, series, hints=(Hint("optimizer", optimizer, f"{path}/hparams.yaml", "optimizer"),))


def evidence_of(run, siblings=()):
    trajectory = reconstruct(run)
    return Evidence(run, trajectory, identify(trajectory), siblings)


SWEEP = train(1e-3, lambda step: 10 ** (step / 50), 200)
BEARS = 2.0  # twice the inverse of the largest curvature


def diagnose(peak, optimizer="SGD", sweep=SWEEP):
    test = evidence_of(run_of(sweep, "runs/sweep"))
    beside = sibling_of(test.run, test.trajectory, test.identification)
    cosine = train(peak, lambda step: step / 200 if step < 200 else 0.5 * (1 + np.cos(np.pi * (step - 200) / 200)), 400)
    rules = [rule for rule in load_rules([rules_dir()]) if rule.code == "LR505"]
    applied = apply_rules(rules, evidence_of(run_of(cosine, "runs/a", optimizer), (beside,)))
    assert applied.problems == ()
    return list(applied.findings)


def test_it_fires_on_a_peak_beyond_the_lowest_loss():
    (finding,) = diagnose(0.75 * BEARS)
    assert finding.severity == "warning"
    assert 0.3 * BEARS < finding.evidence["range_test_limit"] < BEARS
    assert finding.remedy.schedule.lr_at([200.0])[0] == pytest.approx(finding.evidence["proposed_peak_lr"])


def test_a_peak_below_it_is_silent():
    assert diagnose(0.3 * BEARS) == []


def test_another_optimizer_needs_its_own_test():
    assert diagnose(0.75 * BEARS, optimizer="AdamW") == []


def test_a_sweep_that_stopped_before_the_loss_came_back_says_nothing():
    assert diagnose(0.75 * BEARS, sweep=train(1e-5, lambda step: 10 ** (step / 50), 200)) == []


def test_other_runs_are_no_range_tests():
    examined = evidence_of(synth.run(synth.Constant(0.1), steps=200).build())
    assert sibling_of(examined.run, examined.trajectory, examined.identification).range_limit is None

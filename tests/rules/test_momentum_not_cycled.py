"""LR405 on what torch's cycles did to the momentum."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.engine import apply_rules, load_rules
from lrdoctor.resources import rules_dir
from lrdoctor.schedules import Unknown
from lrdoctor.testing import examine

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler


def executed(build, steps=300):
    """(lr, momentum) of every update."""
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.9)
    scheduler, seen = build(optimizer), []
    for _ in range(steps):
        group = optimizer.param_groups[0]
        seen.append((float(group["lr"]), float(group["momentum"])))
        optimizer.step()
        scheduler.step()
    return tuple(zip(*seen, strict=True))


def noted(lrs, momentum, **settings):
    ticks = tuple(map(float, range(len(lrs))))
    spec = synth.run(Unknown(ticks, lrs), steps=len(lrs), complete=True, curves={"momentum": Unknown(ticks, momentum)},
                     **{"optimizer": "SGD", **settings})  # fmt: skip
    rules = [rule for rule in load_rules([rules_dir()]) if rule.code == "LR405"]
    applied = apply_rules(rules, examine(spec))
    assert applied.problems == ()
    return list(applied.findings)


def one_cycle(**settings):
    return lambda optimizer: schedulers.OneCycleLR(optimizer, 0.1, 300, **settings)


def test_torch_cycles_the_momentum_against_the_learning_rate():
    """The claim of the page."""
    lrs, momentum = executed(one_cycle())
    assert np.corrcoef(lrs, momentum)[0, 1] < -0.99
    assert (min(momentum), max(momentum)) == (pytest.approx(0.85, abs=1e-3), pytest.approx(0.95))


def test_a_constant_momentum_is_noted():
    (finding,) = noted(*executed(one_cycle(cycle_momentum=False)))
    assert finding.severity == "info"
    assert finding.evidence["observed_momentum_at_peak"] == 0.9


def test_a_momentum_that_goes_with_the_learning_rate_is_noted():
    lrs, momentum = executed(one_cycle())
    (finding,) = noted(lrs, tuple(1.8 - value for value in momentum))
    assert finding.evidence["correlation"] > 0.9


@pytest.mark.parametrize("settings", [{}, {"three_phase": True}, {"anneal_strategy": "linear"}])
def test_a_cycled_momentum_is_silent(settings):
    assert noted(*executed(one_cycle(**settings))) == []


def test_other_schedules_and_optimizers_are_silent():
    assert noted(*executed(lambda optimizer: schedulers.CosineAnnealingLR(optimizer, 300))) == []
    assert noted(*executed(one_cycle(cycle_momentum=False)), optimizer="AdamW") == []
    assert noted(*executed(one_cycle(cycle_momentum=False, pct_start=0.05))) == []


def test_a_choice_that_a_checkpoint_states_is_silent(train, diagnose):
    build = lambda torch, opt: torch.OneCycleLR(opt, 0.1, 301, cycle_momentum=False)  # noqa: E731
    run, momentum = train(build, 300, save_at=(300,)), {"momentum": Unknown((0.0, 299.0), (0.9, 0.9))}
    assert [one for one in diagnose(run, optimizer="SGD", curves=momentum) if one.code == "LR405"] == []

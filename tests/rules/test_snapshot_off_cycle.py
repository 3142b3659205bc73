"""LR309 on checkpoints of runs that torch's cyclic schedulers drove."""

from __future__ import annotations

import pytest


def restarts(first, growth=1):
    return lambda torch, optimizer: torch.CosineAnnealingWarmRestarts(optimizer, first, growth)


def triangles(up):
    return lambda torch, optimizer: torch.CyclicLR(optimizer, 0.01, 0.1, up)


def found(findings):
    return [finding for finding in findings if finding.code == "LR309"]


@pytest.mark.parametrize("log_lr", [True, False])
@pytest.mark.parametrize(
    ("build", "per", "saved", "ends"),
    [(restarts(100), 1, (75, 150, 225), 3), (restarts(40, 2), 1, (100, 200, 300), 3),
     (restarts(5), 20, (60, 160, 260), 3)],
)  # fmt: skip
def test_it_notes_checkpoints_from_the_middle_of_cycles(train, diagnose, build, per, saved, ends, log_lr):
    executed = train(build, 300, per=per, optimizer="Adam", save_at=saved)
    (finding,) = found(diagnose(executed, steps_per_epoch=20, log_lr=log_lr))
    assert finding.severity == "info"
    assert finding.evidence["cycles_ended"] == ends
    assert finding.evidence["observed_lr"] > 5 * finding.evidence["expected_lr"]


SILENT = {
    "at the ends": (restarts(100), (100, 200, 300)),
    "one of them": (restarts(100), (50, 100, 150)),
    "just after": (restarts(100), (101, 201)),
    "shortly before": (restarts(100), (95, 195)),
    "a single one": (restarts(100), (150,)),
    "before the first end": (restarts(200), (50, 120)),
    "no cycles": (lambda torch, opt: torch.CosineAnnealingLR(opt, 300), (75, 150, 225)),
    "triangles at their ends": (triangles(50), (100, 200)),
}


@pytest.mark.parametrize(("build", "saved"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, build, saved):
    assert found(diagnose(train(build, 300, optimizer="Adam", save_at=saved))) == []

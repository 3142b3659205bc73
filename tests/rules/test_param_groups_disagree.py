"""LR404 on parameter groups of torch optimizers."""

from __future__ import annotations

import pytest

from lrdoctor import synth
from lrdoctor.engine import apply_rules, load_rules
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.resources import rules_dir
from lrdoctor.schedules import Unknown
from lrdoctor.testing import examine

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler


def half_done(step, total=100):
    return 1.0 - 0.5 * step / total


def train(build, lrs=(0.1, 0.01), steps=100, save_at=(), folder=None):
    """The learning rate of each group at each update, and the checkpoints; `build(optimizer)` returns a step()."""
    layers = [torch.nn.Linear(1, 1) for _ in lrs]
    groups = [{"params": list(layer.parameters()), "lr": lr} for layer, lr in zip(layers, lrs, strict=True)]
    optimizer = torch.optim.AdamW(groups)
    step, seen, written = build(optimizer), [], []
    for update in range(steps):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        step()
        if update + 1 in save_at:
            written.append(str(folder / f"{update + 1}.pt"))
            state = {"model": layers[0].state_dict(), "optimizer": optimizer.state_dict(), "global_step": update + 1}
            torch.save(state, written[-1])
    return [list(column) for column in zip(*seen, strict=True)], written


def diagnose(columns, checkpoints=(), log_lr=True):
    first, *rest = (Unknown(tuple(range(len(column))), tuple(column)) for column in columns)
    spec = synth.run(first, steps=len(columns[0]), further_groups=tuple(rest), log_lr=log_lr, complete=None)
    evidence = examine(spec)
    if checkpoints:
        run = type(evidence.run)(path="run", checkpoints=tuple(read_checkpoint(path) for path in checkpoints))
        evidence = type(evidence)(run, evidence.trajectory, evidence.identification)
    rules = [rule for rule in load_rules([rules_dir()]) if rule.code == "LR404"]
    applied = apply_rules(rules, evidence)
    assert applied.problems == ()
    return list(applied.findings)


def only_the_first(optimizer):
    count = iter(range(1, 10_000))

    def step():
        optimizer.param_groups[0]["lr"] = 0.1 * half_done(next(count))

    return step


def scheduled(make):
    return lambda optimizer: make(optimizer).step


def test_newer_torch_refuses_a_group_added_behind_the_schedulers_back():
    optimizer = torch.optim.AdamW(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    scheduler = schedulers.LambdaLR(optimizer, half_done)
    optimizer.add_param_group({"params": list(torch.nn.Linear(1, 1).parameters()), "lr": 0.01})
    optimizer.step()
    try:
        scheduler.step()
    except ValueError:
        return
    assert optimizer.param_groups[1]["lr"] == 0.01


@pytest.mark.parametrize("log_lr", [True, False])
def test_it_fires_on_a_loop_that_writes_the_first_group_alone(tmp_path, log_lr):
    columns, saved = train(only_the_first, save_at=() if log_lr else (20, 60, 100), folder=tmp_path)
    (finding,) = diagnose(columns, saved, log_lr=log_lr)
    assert finding.severity == "warning"
    assert finding.evidence["group_lr"] == 0.01
    assert finding.evidence["expected_lr"] == pytest.approx(0.005, rel=0.15)


def test_each_group_left_out_is_named():
    columns, _ = train(only_the_first, lrs=(0.1, 0.01, 0.02))
    assert [finding.group for finding in diagnose(columns)] == ["train/lr/pg1", "train/lr/pg2"]


SILENT = {
    "all groups under a cosine": (lambda opt: schedulers.CosineAnnealingLR(opt, 100), (0.1, 0.01, 0.001)),
    "a floor they share": (lambda opt: schedulers.CosineAnnealingLR(opt, 100, 5e-3), (0.1, 0.01)),
    "layer-wise decay": (lambda opt: schedulers.LambdaLR(opt, half_done), (0.1, 0.065, 0.04225)),
    "a frozen group": (lambda opt: schedulers.ExponentialLR(opt, 0.98), (0.1, 0.0)),
    "one peak for all": (lambda opt: schedulers.OneCycleLR(opt, 0.1, 101), (0.1, 0.01)),
    "two factors": (lambda opt: schedulers.LambdaLR(opt, [half_done, lambda s: half_done(s) ** 2]), (0.1, 0.01)),
    "nothing moves": (lambda opt: schedulers.ConstantLR(opt, 1.0, 1), (0.1, 0.01)),
}


@pytest.mark.parametrize(("make", "lrs"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(tmp_path, make, lrs):
    columns, saved = train(scheduled(make), lrs, save_at=(20, 60, 100), folder=tmp_path)
    assert diagnose(columns) == []
    assert diagnose(columns, saved, log_lr=False) == []

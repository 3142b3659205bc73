"""LR601 on what torch's ReduceLROnPlateau did."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")


def accuracy(epoch):
    return 0.2 + 0.7 * (1 - math.exp(-epoch / 15))


def loss(epoch):
    return 2.0 * math.exp(-epoch / 20) + 0.3


def found(findings):
    return [finding for finding in findings if finding.code == "LR601"]


def test_torch_cuts_at_p_plus_2_and_then_every_p_plus_1():
    """The claim of the page, in calls counted from 1."""
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3, factor=0.5)
    cuts, before = [], 1.0
    for call in range(1, 20):
        plateau.step(accuracy(call))
        if optimizer.param_groups[0]["lr"] < before:
            cuts.append(call)
        before = optimizer.param_groups[0]["lr"]
    assert cuts == [5, 9, 13, 17]


@pytest.mark.parametrize("log_lr", [True, False])
def test_an_accuracy_with_the_default_mode(follow, log_lr):
    (finding,) = follow(accuracy, tag="val/acc", patience=5, log_lr=log_lr)
    assert (finding.code, finding.severity) == ("LR601", "error")
    assert finding.evidence["best"] == pytest.approx(0.2)
    assert "max" in finding.remedy.code


def test_a_loss_with_mode_max(follow):
    (finding,) = found(follow(loss, tag="val/loss", patience=5, mode="max"))
    assert finding.evidence["metric"] == "val/loss"


def test_the_epoch_for_a_metric(follow):
    (finding,) = found(follow(loss, tag="val/loss", patience=5, told=lambda epoch, _: epoch))
    assert finding.evidence["best"] == 0.0


def test_nan_for_a_metric(follow):
    (finding,) = found(follow(loss, tag="val/loss", patience=5, told=lambda *_: float("nan")))
    assert finding.evidence["best"] == "inf"


@pytest.mark.parametrize(("metric", "tag"), [(accuracy, "val/acc"), (loss, "val/loss")])
def test_the_cuts_alone_tell_it_in_a_log(follow, metric, tag):
    findings = follow(metric, tag=tag, patience=5, factor=0.5, save=False,
                      told=lambda epoch, _: 1.0 + epoch)  # fmt: skip
    (finding,) = found(findings)
    assert finding.severity == "warning"
    assert finding.evidence["epochs_between_cuts"] == 6


def test_a_metric_for_an_ordinary_scheduler(train, diagnose):
    class Told:
        def __init__(self, inner):
            self.inner = inner
            self.state_dict = inner.state_dict

        def step(self):
            self.inner.step(0.31)

    executed = train(lambda torch, opt: Told(torch.StepLR(opt, 30)), 60, save_at=(60,))
    (finding,) = [one for one in diagnose(executed) if one.code == "LR601"]
    assert finding.evidence["last_epoch"] == pytest.approx(0.31)


SILENT = {
    "an accuracy with mode max": (accuracy, "val/acc", {"mode": "max"}),
    "a loss with mode min": (loss, "val/loss", {}),
    "a real plateau": (lambda epoch: 1.0 + 0.001 * math.sin(epoch), "val/loss", {}),
    "over-fitting": (lambda epoch: loss(epoch) + 0.04 * max(0, epoch - 8), "val/loss", {}),
    "an accuracy that falls": (lambda epoch: 0.9 - 0.01 * epoch, "val/acc", {"mode": "max"}),
    "a negated accuracy with mode min": (lambda epoch: -accuracy(epoch), "val/acc", {}),
    "a metric of unknown name": (accuracy, "val/quux", {}),
}


@pytest.mark.parametrize("save", [True, False])
@pytest.mark.parametrize(("metric", "tag", "arguments"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(follow, metric, tag, arguments, save):
    assert found(follow(metric, tag=tag, patience=5, save=save, **arguments)) == []


def test_a_fraction_of_an_epoch_is_a_count(train, diagnose):
    class ByParts:
        def __init__(self, inner):
            self.inner, self.count = inner, 0
            self.state_dict = inner.state_dict

        def step(self):
            self.count += 1
            self.inner.step(self.count / 20)

    executed = train(lambda torch, opt: ByParts(torch.CosineAnnealingLR(opt, 10)), 50, save_at=(50,))
    assert [one for one in diagnose(executed, steps_per_epoch=20) if one.code == "LR601"] == []

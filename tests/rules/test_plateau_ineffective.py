"""LR602 on what torch's ReduceLROnPlateau did."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")


def loss(epoch):
    return 2.0 * math.exp(-epoch / 20) + 0.3


def found(findings):
    return [finding for finding in findings if finding.code == "LR602"]


def cuts_of(metric, calls=60, **arguments):
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3, **arguments)
    seen = []
    for call in range(calls):
        plateau.step(metric(call))
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


@pytest.mark.parametrize("metric", [lambda call: -1.0, lambda call: -1.0 + 5e-5 * call], ids=["flat", "worse"])
def test_torch_takes_a_negative_metric_that_stands_still_for_an_improvement(metric):
    """The claim of the page; with the absolute threshold it is cut."""
    assert set(cuts_of(metric)) == {0.1}
    assert min(cuts_of(metric, threshold_mode="abs")) < 0.1


def test_torch_never_cuts_to_a_floor_above_and_stops_at_eps():
    assert set(cuts_of(lambda call: 1.0, min_lr=0.2)) == {0.1}
    assert cuts_of(lambda call: 1.0)[-1] == pytest.approx(1e-8)


FIRES = {
    "a floor above": (loss, {"min_lr": 0.2}, {}),
    "a floor at the learning rate": (loss, {"min_lr": 0.1}, {}),
    "a negative metric": (lambda epoch: -1.0, {}, {}),
    "a negative metric to be raised": (lambda epoch: -1.0, {"mode": "max"}, {}),
    "called at every update": (loss, {}, {"per": 20}),
    "cut to nothing": (lambda epoch: 1.1, {"patience": 1}, {}),
}


@pytest.mark.parametrize("log_lr", [True, False])
@pytest.mark.parametrize(("metric", "arguments", "settings"), FIRES.values(), ids=FIRES)
def test_it_fires_on_the_state_of_a_checkpoint(follow, metric, arguments, settings, log_lr):
    findings = found(follow(metric, tag="val/quux", log_lr=log_lr, **{"patience": 5, **arguments}, **settings))
    if not log_lr and (arguments.get("min_lr") == 0.1 or arguments == {"patience": 1}):
        assert findings == []  # only the log tells that nothing ever changed, and since when it stands
        return
    (finding,) = findings
    assert finding.severity == "warning"
    assert any(key.startswith("observed") for key in finding.evidence)
    assert any(key.startswith("expected") for key in finding.evidence)


SILENT = {
    "a loss": (loss, {}, {}),
    "an accuracy": (lambda epoch: 1.0 - loss(epoch) / 3, {"mode": "max"}, {}),
    "a negative metric with the absolute threshold": (lambda epoch: -1.0, {"threshold_mode": "abs"}, {}),
    "a floor below": (loss, {"min_lr": 1e-4}, {}),
    "a floor reached by cuts": (lambda epoch: 1.1, {"min_lr": 1e-3}, {}),
    "a long patience, and nothing says the run is over": (loss, {"patience": 60}, {}),
    "called three times": (lambda epoch: -1.0, {}, {"epochs": 3}),
}


@pytest.mark.parametrize(("metric", "arguments", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(follow, metric, arguments, settings):
    assert found(follow(metric, tag="val/quux", **{"patience": 5, **arguments}, **settings)) == []

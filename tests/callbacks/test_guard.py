"""The guard in plain PyTorch loops: faults are told while there is time, sound trainings are left alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

import lrdoctor
from lrdoctor.callbacks import ScheduleWarning
from lrdoctor.errors import ScheduleFaultError

PER_EPOCH, EPOCHS = 40, 12
TOTAL = PER_EPOCH * EPOCHS


def train(
    make: Callable[[torch.optim.Optimizer], Any],
    *,
    per: str = "update",
    ticks: int = 1,
    until: int = TOTAL,
    optimizer: str = "AdamW",
    lr: float = 1e-3,
    known: bool = True,
    **options: Any,
) -> tuple[lrdoctor.callbacks.Guard, list[tuple[int, str]]]:
    """A loop that stops after `until` updates; the guard, and (updates made, message) of every warning."""
    model = torch.nn.Linear(4, 1)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr=lr)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler = make(opt)
        sizes = {"total_steps": TOTAL, "steps_per_epoch": PER_EPOCH} if known else {}
        watch = lrdoctor.guard(opt, scheduler, **sizes, **options)
        told = [(0, len(caught))]
        for update in range(until):
            model(torch.ones(2, 4)).sum().backward()
            opt.step()
            opt.zero_grad()
            if per == "update" or (update + 1) % PER_EPOCH == 0:
                for _ in range(ticks):
                    scheduler.step()
            told.append((update + 1, len(caught)))
        watch.close()
    shown = [str(one.message) for one in caught if issubclass(one.category, ScheduleWarning)]
    when = [next(at for at, count in told if count > index) for index in range(len(caught)) if index < told[-1][1]]
    found = [(at, message) for at, message in zip(when, shown, strict=False)]
    return watch, found


def cycle(optimizer: torch.optim.Optimizer) -> Any:
    return schedulers.OneCycleLR(optimizer, 0.01, TOTAL)


def test_the_plan_is_checked_before_the_first_update():
    watch, told = train(cycle, per="epoch", interval="epoch", until=1)
    assert [finding.code for finding in watch.findings] == ["LR101"]
    assert told[0][0] == 0
    assert "as the training is set up" in told[0][1]


def test_a_cycle_stepped_per_epoch_is_told_before_the_second_epoch_ends():
    watch, told = train(cycle, per="epoch")
    assert "LR101" in [finding.code for finding in watch.findings]
    assert PER_EPOCH < told[0][0] < 2 * PER_EPOCH
    assert "LR101 onecycle-stepped-per-epoch" in told[0][1]


def test_each_fault_is_told_once():
    watch, told = train(cycle, per="epoch", interval="epoch")
    assert len({finding.code for finding in watch.findings}) == len(watch.findings) == len(told)


def test_strict_raises_at_an_error():
    with pytest.raises(ScheduleFaultError) as caught:
        train(cycle, per="epoch", interval="epoch", strict=True)
    assert "LR101" in caught.value.what
    assert caught.value.hint


def test_the_optimizer_is_let_go_of_when_a_strict_guard_raises_in_the_loop():
    with pytest.raises(ScheduleFaultError):
        train(cycle, per="epoch", strict=True)


SOUND = {
    "one cycle per update": (cycle, {"interval": "update"}),
    "cosine per update": (lambda o: schedulers.CosineAnnealingLR(o, TOTAL), {"interval": "update"}),
    "cosine per epoch": (lambda o: schedulers.CosineAnnealingLR(o, EPOCHS), {"interval": "epoch", "per": "epoch"}),
    "steps per epoch": (lambda o: schedulers.StepLR(o, 4, 0.3), {"interval": "epoch", "per": "epoch"}),
    "steps per epoch, nothing known": (lambda o: schedulers.StepLR(o, 4, 0.3), {"per": "epoch", "known": False}),
    "warmup and cosine": (
        lambda o: schedulers.SequentialLR(
            o,
            [schedulers.LinearLR(o, 0.01, total_iters=40), schedulers.CosineAnnealingLR(o, TOTAL - 40)],
            [40],
        ),
        {"interval": "update"},
    ),
    "a plateau": (lambda o: Plateau(o), {"per": "epoch"}),
    "an arbitrary function": (lambda o: schedulers.LambdaLR(o, lambda t: 1 / (1 + t / 50)), {}),
}


class Plateau(schedulers.ReduceLROnPlateau):
    """Stepped with a metric that falls."""

    def step(self, *_: Any) -> None:
        super().step(1.0 / (1 + self.last_epoch))


@pytest.mark.parametrize(("make", "options"), SOUND.values(), ids=SOUND)
def test_sound_trainings_are_left_alone(make, options):
    watch, told = train(make, **options)
    assert (watch.findings, told) == ([], [])
    assert watch.updates == TOTAL


def loop(make: Callable[[torch.optim.Optimizer], Any] | None, updates: int) -> lrdoctor.callbacks.Guard:
    """Updates alone: a scheduler that is built is never stepped."""
    model = torch.nn.Linear(4, 1)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with lrdoctor.guard(opt, make(opt) if make else None) as watch:
        for _ in range(updates):
            model(torch.ones(2, 4)).sum().backward()
            opt.step()
            opt.zero_grad()
    return watch


def test_training_without_a_scheduler_is_left_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScheduleWarning)
        assert loop(None, 300).updates == 300


def test_a_scheduler_that_is_never_stepped_is_told_at_the_end_where_no_epoch_is_known():
    with pytest.warns(ScheduleWarning, match="LR105"):
        loop(lambda o: schedulers.CosineAnnealingLR(o, TOTAL), 400)


def test_a_long_training_is_kept_in_bounds(monkeypatch):
    monkeypatch.setattr("lrdoctor.callbacks.guarding.MAX_POINTS", 64)
    watch, told = train(cycle, interval="update")
    assert (watch.updates, told) == (TOTAL, [])
    steps, lrs = watch._recorded()
    assert 32 <= len(steps) < 64
    assert lrs[:, 0] == pytest.approx(lrdoctor.OneCycleLR(0.01, TOTAL).lr_at(steps))

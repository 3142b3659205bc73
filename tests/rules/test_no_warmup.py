"""LR501 on schedules that torch executed from the first update on."""

from __future__ import annotations

import pytest

from lrdoctor import synth
from lrdoctor.schedules import Warmup

GPT = {"model": "gpt2"}


def cosine(torch, optimizer):
    return torch.CosineAnnealingLR(optimizer, 400)


def warmed(torch, optimizer):
    ramp = torch.LinearLR(optimizer, 0.01, 1.0, 20)
    return torch.SequentialLR(optimizer, [ramp, torch.CosineAnnealingLR(optimizer, 380)], [20])


def found(diagnose, executed, **settings):
    settings = {"optimizer": "AdamW", "declared": GPT, **settings}
    return [(finding.code, finding.severity) for finding in diagnose(executed, **settings)]


def test_adam_on_a_transformer_at_its_peak_from_the_first_update(train, diagnose):
    assert found(diagnose, train(cosine, 400, lr=1e-3)) == [("LR501", "warning")]


def test_a_loss_that_breaks_at_once_makes_it_an_error(train, diagnose):
    broken = synth.Loss(breaks_at=10)
    assert found(diagnose, train(cosine, 400, lr=1e-3), loss=broken) == [("LR501", "error")]


def test_large_batches_with_sgd(train, diagnose):
    executed = train(cosine, 400, lr=3.2)
    assert found(diagnose, executed, optimizer="SGD", batch_size=8192, declared={}) == [("LR501", "warning")]


def test_the_remedy_warms_up_and_ends_where_the_schedule_ended(train, diagnose):
    (finding,) = diagnose(train(cosine, 400, lr=1e-3), optimizer="AdamW", declared=GPT)
    schedule = finding.remedy.schedule
    assert isinstance(schedule, Warmup)
    assert schedule.steps == 20
    assert schedule.horizon == 400
    assert schedule.lr_at([0.0])[0] == pytest.approx(1e-5)
    assert schedule.lr_at([20.0])[0] == pytest.approx(1e-3)


SILENT = {
    "a warmup of 20 updates": ({"build": warmed}, {}),
    "OneCycleLR": ({"build": lambda torch, opt: torch.OneCycleLR(opt, 1e-3, total_steps=400)}, {}),
    "fine-tuning, stated": ({}, {"declared": {**GPT, "finetune": True}}),
    "an adapter": ({}, {"declared": {"model": "gpt2-lora"}}),
    "a learning rate of fine-tuning": ({"lr": 5e-5}, {}),
    "the largest learning rate that is not reported": ({"lr": 4.9e-4}, {}),
    "RAdam": ({}, {"optimizer": "RAdam"}),
    "Adafactor": ({}, {"optimizer": "Adafactor"}),
    "no optimizer is known": ({}, {"optimizer": None}),
    "a convolutional network": ({}, {"declared": {"model": "resnet50"}}),
    "no model is known": ({}, {"declared": {}}),
    "SGD with a small batch": ({"lr": 0.1}, {"optimizer": "SGD", "batch_size": 128, "declared": {}}),
    "SGD with a large batch and a small learning rate": (
        {"lr": 0.1}, {"optimizer": "SGD", "batch_size": 4096, "declared": {}},
    ),
    "a log that begins at step 50": ({}, {"first_step": 50}),
}  # fmt: skip


@pytest.mark.parametrize(("training", "settings"), SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(train, diagnose, training, settings):
    executed = train(training.get("build", cosine), 400, lr=training.get("lr", 1e-3))
    assert found(diagnose, executed, **settings) == []


@pytest.mark.parametrize(("beta2", "updates"), [(0.9, 20), (0.999, 2000)])
def test_the_warmup_proposed_follows_beta2(train, diagnose, beta2, updates):
    executed = train(lambda torch, opt: torch.LinearLR(opt, 1.0, 0.0, 50_000), 2000, lr=1e-3)
    settings = {"max_steps": 50_000, "beta2": beta2, **GPT}
    (finding,) = diagnose(executed, optimizer="AdamW", declared=settings)
    assert finding.evidence["suggested_warmup_steps"] == updates

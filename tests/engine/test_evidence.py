"""A run as its neighbours see it."""

from __future__ import annotations

import math

import pytest

from lrdoctor import synth
from lrdoctor.engine import sibling_of
from lrdoctor.engine.optimizers import optimizer_kind, optimizer_of
from lrdoctor.schedules import CosineAnnealingLR
from lrdoctor.testing import examine

COSINE = CosineAnnealingLR(0.1, T_max=400)


def sibling(**settings):
    evidence = examine(synth.run(COSINE, **{"steps": 200, "complete": False, **settings}))
    return sibling_of(evidence.run, evidence.trajectory, evidence.identification)


def test_a_sibling_carries_what_comparing_needs():
    found = sibling(optimizer="SGD", batch_size=64, declared={"model": "net"}, path="runs/a", framework="lightning")
    assert (found.path, found.optimizer, found.batch_size, found.model, found.framework) == (
        "runs/a", "SGD", 64, "net", "lightning",
    )  # fmt: skip
    assert found.family == "CosineAnnealingLR"
    assert found.peak_lr == pytest.approx(0.1)


def test_the_planned_peak_counts_where_the_log_begins_late():
    assert sibling(first_step=150, steps=300).peak_lr == pytest.approx(0.1, rel=1e-3)


def test_what_is_not_known_is_none():
    found = sibling(log_lr=False, loss=None)
    assert (found.optimizer, found.batch_size, found.peak_lr, found.family) == (None,) * 4
    assert (found.final_loss, found.first_loss, found.loss_tag) == (None,) * 3


def test_a_run_that_broke_has_a_final_loss_of_nan():
    assert math.isnan(sibling(loss=synth.Loss(breaks_at=150)).final_loss)


def test_runs_that_start_at_the_same_loss_are_alike():
    assert sibling().started_as(sibling(batch_size=64))
    assert not sibling(loss=synth.Loss(floor=9.0)).started_as(sibling())
    assert not sibling(loss=None).started_as(sibling())
    noisy = sibling(loss=synth.Loss(floor=2.8, noise=1.5))
    assert not noisy.started_as(sibling())
    assert noisy.started_as(sibling(), errors=3.0)


def test_a_loss_that_is_never_finite_says_nothing_about_the_start():
    assert sibling(loss=synth.Loss(breaks_at=0)).first_loss is None


@pytest.mark.parametrize(("name", "kind"), [
    ("AdamW", "adam"), ("adamw_torch_fused", "adam"), ("torch.optim.adam.Adam", "adam"), ("adam_w", "adam"),
    ("SGD", "sgd"), ("nesterov", "sgd"), ("momentum", "sgd"), ("RAdam", "other"), ("Adafactor", "other"),
    ("prodigy", "other"), ("Lion", "other"), ("AdaGrad", "other"), ("", None), (None, None),
])  # fmt: skip
def test_the_kind_of_an_optimizer_follows_from_its_name(name, kind):
    assert optimizer_kind(name) == kind


def test_the_settings_name_the_optimizer_before_a_checkpoint_does():
    stated = synth.run(COSINE, steps=100, optimizer="AdamW", checkpoints=(100,)).build()
    assert optimizer_of(stated) == "AdamW"
    auto = synth.run(COSINE, steps=100, declared={"optimizer": "auto"}, checkpoints=()).build()
    assert optimizer_of(auto) is None

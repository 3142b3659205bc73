"""Ultralytics: plans in epochs, the two rules of its warmup, and a public run reproduced epoch by epoch."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("LRDOCTOR_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
ARGS = """
    epochs: 100
    batch: 16
    optimizer: {optimizer}
    lr0: 0.01
    lrf: 0.01
    cos_lr: {cosine}
    warmup_epochs: 3.0
    data: {data}
"""
OLD, NEW = {"ultralytics": "8.3.100"}, {"ultralytics": "8.4.190"}


def args(optimizer="SGD", cosine="false", data="other.yaml"):
    return ARGS.format(optimizer=optimizer, cosine=cosine, data=data)


@pytest.mark.parametrize(("cosine", "middle"), [("false", 0.505), ("true", 0.505)])
def test_the_learning_rate_falls_to_its_share_once_an_epoch(plan_of, cosine, middle):
    plan = plan_of(args(cosine=cosine), "args.yaml", steps_per_epoch=100)
    lr = plan.schedule.lr_at([50.0, 50.99, 100.0])
    assert lr == pytest.approx([0.01 * middle, 0.01 * middle, 1e-4])


def test_the_warmup_rises_with_every_batch_beside_the_schedule(plan_of):
    plan = plan_of(args(), "args.yaml", steps_per_epoch=100)
    falling = 0.01 * (1 - 0.99 * 1 / 100)  # the schedule in epoch 1
    assert plan.schedule.lr_at([1.5]) == pytest.approx([falling * 0.5])


def test_older_versions_warm_up_for_a_hundred_batches_at_least(plan_of):
    assert plan_of(args(), "args.yaml", steps_per_epoch=3, versions=OLD).warmup.steps.value == pytest.approx(100 / 3)
    assert plan_of(args(), "args.yaml", steps_per_epoch=3, versions=NEW).warmup.steps.value == 3.0


def test_a_version_that_is_not_known_leaves_the_warmup_between_both_rules(plan_of):
    steps = plan_of(args(), "args.yaml", steps_per_epoch=3).warmup.steps
    assert (steps.low, steps.high) == (3.0, pytest.approx(100 / 3))


def test_the_data_set_it_ships_with_tells_how_many_batches_an_epoch_has(plan_of):
    plan = plan_of(args(data="coco8.yaml"), "args.yaml", versions=OLD)
    assert (plan.updates_per_epoch.value, plan.warmup.steps.value) == (1.0, 100.0)


def test_optimizer_auto_takes_its_learning_rate_from_the_number_of_classes(plan_of):
    settings = {"dataset_size": 1000, "beside": {"data.yaml": "nc: 2\n"}}
    plan = plan_of(args("auto", data="data.yaml"), "args.yaml", **settings)
    assert (plan.optimizer.value, plan.lr.value) == ("AdamW", 0.001667)
    for versions, name in ((OLD, "SGD"), (NEW, "MuSGD")):
        longer = {**settings, "dataset_size": 100_000, "versions": versions}
        plan = plan_of(args("auto", data="data.yaml"), "args.yaml", **longer)
        assert (plan.optimizer.value, plan.lr.value) == (name, 0.01)


def test_optimizer_auto_without_the_data_set_is_left_open(plan_of):
    plan = plan_of(args("auto"), "args.yaml")
    assert plan.lr is None
    assert "auto" in plan.unmade


def test_a_yolo_command_is_read_like_its_arguments(plan_of):
    plan = plan_of("yolo detect train model=yolo11n.pt epochs=50 lr0=1e-3 optimizer=AdamW batch=8", "train.sh")
    assert (plan.framework, plan.lr.value, plan.total.value, plan.batch.total.value) == ("ultralytics", 1e-3, 50, 8)


BATTERY = DATA / "configs" / "ultralytics" / "1leo23__yolo_Battery"


@pytest.mark.skipif(not BATTERY.exists(), reason="the collection of real configs is not here (LRDOCTOR_DATA)")
def test_two_hundred_logged_epochs_of_a_public_run_follow_from_its_arguments(plan_of):
    """Its data set has two classes and three batches an epoch, which the arguments do not say."""
    text = re.sub(r"(?m)^data: .*$", "data: data.yaml", (BATTERY / "args.yaml").read_text(encoding="utf-8"))
    plan = plan_of(text, "args.yaml", dataset_size=93, versions=OLD, beside={"data.yaml": "nc: 2\n"})
    with (BATTERY / "results.csv").open(encoding="utf-8", newline="") as stream:
        logged = np.array([float(row["lr/pg1"]) for row in csv.DictReader(stream)])
    last_batches = np.arange(200) + 2 / 3
    assert len(logged) == 200
    assert np.abs(plan.schedule.lr_at(last_batches) / logged - 1).max() < 5e-6

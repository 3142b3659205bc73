"""Plans of Transformers' arguments equal what Transformers itself executes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from lrdoctor.configs import Context, Sizes, read_plans
from lrdoctor.configs.hf_schedules import FAMILIES, hf_schedule
from lrdoctor.model.count import Count

LR, TOTAL = 2e-4, 200
PUBLIC = Path(os.environ.get("LRDOCTOR_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "runs"
SCHEDULES = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine", {"num_cycles": 1.5}),
    ("cosine_with_restarts", {"num_cycles": 3}),
    ("polynomial", {}),
    ("polynomial", {"power": 2.0, "lr_end": 1e-5}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 50}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    ("cosine_with_min_lr", {"min_lr": 1e-5}),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1, "warmup_lr_rate": 0.2}),
    ("warmup_stable_decay", {"num_decay_steps": 30}),
    ("warmup_stable_decay", {"num_decay_steps": 30, "decay_type": "1-sqrt", "min_lr_ratio": 0.1}),
    ("warmup_stable_decay", {"num_decay_steps": 30, "decay_type": "linear", "warmup_type": "cosine"}),
]


@pytest.mark.parametrize("warmup", [0, 1, 20])
@pytest.mark.parametrize(("name", "options"), SCHEDULES)
def test_the_schedule_is_the_one_transformers_executes(name, options, warmup):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = transformers.get_scheduler(
        name, optimizer, num_warmup_steps=warmup, num_training_steps=TOTAL, scheduler_specific_kwargs=options
    )
    executed = []
    for _ in range(TOTAL):
        executed.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    planned = hf_schedule(name, LR, options, TOTAL, warmup).lr_at(np.arange(TOTAL))
    assert np.abs(planned - executed).max() <= 1e-12 * LR


@pytest.mark.parametrize("warmup_steps", [0, 1, 30, 0.1, 0.255])
def test_the_warmup_has_the_length_the_installed_transformers_gives_it(plan_of, warmup_steps):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    arguments = transformers.TrainingArguments(warmup_steps=warmup_steps, max_steps=777, use_cpu=True, output_dir="x")
    text = f"learning_rate: 2.0e-5\nper_device_train_batch_size: 8\nmax_steps: 777\nwarmup_steps: {warmup_steps}"
    plan = plan_of(text, versions={"transformers": transformers.__version__})
    steps = plan.warmup.steps.value if plan.warmup is not None else 0
    assert steps == arguments.get_warmup_steps(777)


BASE = """
    learning_rate: 2.0e-5
    per_device_train_batch_size: 4
    gradient_accumulation_steps: 8
    num_train_epochs: 3
    lr_scheduler_type: cosine
    {}
"""


def test_what_a_config_does_not_hold_stays_unknown(plan_of):
    plan = plan_of(BASE.format("warmup_ratio: 0.1"))
    assert plan.total == Count(3, math.inf)
    assert plan.batch.total == Count(32, math.inf)
    assert plan.schedule is None
    assert plan.warmup.fraction == 0.1
    assert ("world_size", "unknown") in plan.assumptions


def test_sizes_that_are_given_are_counted_as_the_trainer_counts(plan_of):
    plan = plan_of(BASE.format("warmup_ratio: 0.1"), dataset_size=10_001, world_size=2)
    updates = math.ceil(math.ceil(10_001 / 8) / 8)
    assert plan.total.value == 3 * updates
    assert plan.warmup.steps.value == math.ceil(0.3 * updates)
    assert plan.schedule.peak_lr == 2e-5


def test_a_range_of_sizes_gives_a_range_of_lengths():
    text = b"learning_rate: 2.0e-5\nper_device_train_batch_size: 10\nnum_train_epochs: 2\n"
    sizes = Sizes(dataset=Count(1000, 2000), world=Count.exactly(1))
    (plan,) = read_plans(Path("a.yaml"), text, Context(sizes))
    assert plan.total == Count(200, 400)


@pytest.mark.parametrize(
    ("version", "keys", "steps", "ignored"),
    [
        ("4.57", "warmup_steps: 50\n    warmup_ratio: 0.1", 50, ["warmup_ratio"]),
        ("4.57", "warmup_steps: 0.1", 0, []),
        ("5.23", "warmup_steps: 0.1", 100, []),
        ("5.14", "warmup_steps: 50\n    warmup_ratio: 0.1", 100, []),
        ("5.23", "warmup_ratio: 0.1", None, ["warmup_ratio"]),
    ],
)
def test_the_version_decides_what_the_warmup_keys_mean(plan_of, version, keys, steps, ignored):
    text = BASE.format(f"{keys}\n    max_steps: 1000").replace("    num_train_epochs: 3\n", "")
    plan = plan_of(text, versions={"transformers": version})
    assert (plan.warmup.steps.value if plan.warmup is not None else None) == steps
    assert [item.setting.key for item in plan.ignored] == ignored


def test_a_learning_rate_without_a_point_is_a_string_in_yaml_but_not_on_a_command_line(plan_of):
    text = "learning_rate: 1e-4\nper_device_train_batch_size: 8\nnum_train_epochs: 1"
    assert [item.about for item in plan_of(text).misread] == ["lr"]
    flags = "python train.py --learning_rate 1e-4 --per_device_train_batch_size 8 --num_train_epochs 1"
    plan = plan_of(flags, "train.sh")
    assert (plan.lr.value, plan.misread) == (1e-4, ())


def test_a_launcher_in_a_script_gives_the_world_size(plan_of):
    flags = (
        "torchrun --nproc_per_node 8 --nnodes 2 train.py --learning_rate 1e-4 --per_device_train_batch_size 4 "
        "--num_train_epochs 1"
    )
    assert plan_of(flags, "train.sh").batch.total == Count.exactly(64)


def test_each_value_says_where_it_comes_from(plan_of):
    plan = plan_of(BASE.format("max_steps: 500"))
    assert (plan.lr.origin.kind, plan.lr.place.line, plan.lr.place.column) == ("explicit", 1, 1)
    assert plan.optimizer.origin.kind == "default"
    assert "transformers" in plan.optimizer.origin.note


@pytest.mark.skipif(not PUBLIC.exists(), reason="the collection of real runs is not here (LRDOCTOR_DATA)")
@pytest.mark.parametrize(("run", "per_epoch"), [("2023-08-03_exam-epoch-30", 61), ("2023-08-04_exam-epoch-60", 61)])
def test_a_public_run_is_reproduced_from_its_arguments_alone(run, per_epoch):
    folder = PUBLIC / "hiyouga__LLaMA-Factory" / run
    arguments = (folder / "training_args.bin").read_bytes()  # JSON text, whatever its name says
    sizes = Sizes(updates_per_epoch=Count.exactly(per_epoch))
    (plan,) = read_plans(Path("training_args.json"), arguments, Context(sizes))
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    logged = [(entry["step"], entry["learning_rate"]) for entry in history if "learning_rate" in entry]
    steps, lrs = np.array(logged).T
    planned = plan.schedule.lr_at(steps)  # logged after scheduler.step()
    assert len(logged) >= 100
    assert np.abs(planned - lrs).max() <= 5e-6 * plan.lr.value


def test_every_scheduler_of_the_installed_transformers_is_known():
    transformers = pytest.importorskip("transformers")
    assert {str(one.value) for one in transformers.SchedulerType} <= set(FAMILIES)


NAMED = BASE.replace("lr_scheduler_type: cosine", "lr_scheduler_type: {}").replace("2.0e-5", "{}")


@pytest.mark.parametrize(
    ("name", "lr", "more", "cure"),
    [
        ("cosin", "2.0e-5", "", "write `cosine`"),
        ("cosine_with_min_lr", "2.0e-5", "", "give it what it needs"),
        ("cosine_with_min_lr", "2.0e-5", "lr_scheduler_kwargs: {{min_lr: 1.0e-6, min_lr_rate: 0.1}}", "give it what"),
        ("warmup_stable_decay", "2.0e-5", "", "give it what it needs"),
        ("polynomial", "1.0e-8", "", "give it what it needs"),
    ],
)
def test_a_scheduler_transformers_stops_at_is_told(plan_of, name, lr, more, cure):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    plan = plan_of(NAMED.format(lr, name, more.replace("{{", "{").replace("}}", "}")))
    (item,) = plan.misread
    assert (item.setting.key, item.about) == ("lr_scheduler_type", "refused")
    assert item.cure.startswith(cure)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=float(lr))
    options = {"min_lr": 1e-6, "min_lr_rate": 0.1} if more else {}
    with pytest.raises((ValueError, TypeError)):
        transformers.get_scheduler(
            name, optimizer, num_warmup_steps=1, num_training_steps=9, scheduler_specific_kwargs=options
        )


def test_a_scheduler_a_newer_version_may_have_is_left_alone(plan_of):
    assert plan_of(NAMED.format("2.0e-5", "spiral", ""), versions={"transformers": "6.1"}).misread == ()

"""Plans equal what torch's, timm's and mmengine's own schedulers execute."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

TORCH = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 7, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [5, 20]}),
    ("MultiStepLR", {"milestones": [30, 10, 10], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 8}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.8, "end_factor": 0.1, "total_iters": 30}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 30, "power": 2.0}),
    ("CosineAnnealingLR", {"T_max": 20, "eta_min": 1e-5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 6, "T_mult": 2, "eta_min": 1e-5}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 40}),
    ("OneCycleLR", {"max_lr": 0.1, "epochs": 4, "steps_per_epoch": 10, "anneal_strategy": "linear", "div_factor": 10}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 50, "three_phase": True, "final_div_factor": 100, "pct_start": 0.4}),
    ("CyclicLR", {"base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 5, "step_size_down": 10}),
    ("CyclicLR", {"base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 4, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 4, "mode": "exp_range", "gamma": 0.9}),
]
TORCH_LR, TORCH_STEPS = 0.05, 40


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "arguments"), TORCH)
def test_a_config_that_names_a_torch_scheduler_is_what_torch_executes(plan_of, name, arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=TORCH_LR, momentum=0.9)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    executed = []
    for _ in range(TORCH_STEPS):
        executed.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    sgd = {"type": "SGD", "params": {"lr": TORCH_LR}}
    text = json.dumps({"train_batch_size": 8, "optimizer": sgd, "scheduler": {"type": name, "params": arguments}})
    planned = plan_of(text, "ds.json").built(float(TORCH_STEPS)).lr_at(np.arange(TORCH_STEPS))
    assert np.abs(planned - executed).max() <= 1e-12


TIMM = [
    {"sched": "cosine", "epochs": 30, "warmup_epochs": 5, "min_lr": 1e-4, "cooldown_epochs": 3},
    {"sched": "cosine", "epochs": 30, "warmup_epochs": 5, "min_lr": 0.0, "warmup_prefix": True},
    {"sched": "cosine", "epochs": 30, "warmup_epochs": 0, "min_lr": 1e-4, "k_decay": 0.7},
    {"sched": "step", "epochs": 40, "warmup_epochs": 3, "decay_epochs": 10, "decay_rate": 0.5},
    {"sched": "multistep", "epochs": 40, "warmup_epochs": 3, "decay_milestones": [10, 20, 30], "decay_rate": 0.5},
    {"sched": "poly", "epochs": 40, "warmup_epochs": 3, "decay_rate": 0.9, "min_lr": 1e-4},
    {"sched": "poly", "epochs": 20, "warmup_epochs": 3, "min_lr": 1e-4, "cycle_limit": 2, "cycle_decay": 0.5},
    {"sched": "cosine", "epochs": 20, "warmup_epochs": 3, "cycle_limit": 3, "cycle_decay": 0.5, "cooldown_epochs": 2},
    {"sched": "cosine", "epochs": 10, "warmup_epochs": 0, "cycle_limit": 3, "cycle_mul": 2.0, "cycle_decay": 0.5},
    {"sched": "cosine", "epochs": 20, "warmup_epochs": 3, "min_lr": 1e-4, "on_updates": True},
    {"sched": "multistep", "epochs": 40, "warmup_epochs": 3, "decay_milestones": [10, 20], "on_updates": True},
    {"sched": "step", "epochs": 20, "warmup_epochs": 3, "decay_epochs": 5, "warmup_prefix": True, "on_updates": True},
]
SPELLED = {
    "k_decay": "lr_k_decay",
    "on_updates": "sched_on_updates",
    **{name: f"lr_{name}" for name in ("cycle_limit", "cycle_mul", "cycle_decay")},
}
TIMM_UPDATES = 7


@pytest.fixture
def timm_scheduler(monkeypatch):
    """timm.scheduler, without the models that `import timm` brings and their need of torchvision."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("timm is not installed")
    bare = ModuleType("timm")
    bare.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "timm", bare)
    return importlib.import_module("timm.scheduler")


@pytest.mark.parametrize("arguments", TIMM, ids=lambda given: given["sched"])
def test_a_timm_plan_is_what_timm_executes(plan_of, timm_scheduler, arguments):
    given = {"cooldown_epochs": 0, "warmup_lr": 1e-5, **arguments}
    by_update = given.get("on_updates", False)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    own = {key: value for key, value in given.items() if key not in ("epochs", "on_updates")}
    scheduler, epochs = timm_scheduler.create_scheduler_v2(
        optimizer, num_epochs=given["epochs"], updates_per_epoch=TIMM_UPDATES, step_on_epochs=not by_update, **own
    )
    executed = []
    for update in range(epochs * TIMM_UPDATES):
        executed.append(optimizer.param_groups[0]["lr"])
        scheduler.step_update(update + 1)
        if (update + 1) % TIMM_UPDATES == 0:
            scheduler.step((update + 1) // TIMM_UPDATES)
    spelled = (f"{SPELLED.get(key, key)}: {str(value).lower()}" for key, value in given.items())
    plan = plan_of("opt: sgd\nlr: 0.1\n" + "\n".join(spelled), "args.yaml", steps_per_epoch=TIMM_UPDATES)
    assert (plan.framework, plan.total.value) == ("timm", epochs)
    steps = np.arange(epochs * TIMM_UPDATES) / TIMM_UPDATES
    assert np.abs(plan.schedule.lr_at(steps) - executed).max() <= 1e-12


@pytest.mark.parametrize(
    ("optimizer", "lr"), [("sgd", 0.1 * 512 / 256), ("adamw", 0.1 * (512 / 256) ** 0.5), ("lamb", 0.1 * 2**0.5)]
)
def test_timm_scales_its_base_learning_rate_with_the_batch(plan_of, optimizer, lr):
    text = f"opt: {optimizer}\nlr_base: 0.1\nsched: cosine\nwarmup_lr: 1.0e-5\nbatch_size: 128\nepochs: 10"
    assert plan_of(text, "args.yaml", world_size=4).lr.value == pytest.approx(lr)
    assert plan_of(text, "args.yaml").lr is None  # the number of processes is not known


MM = [
    [
        {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 50},
        {"type": "MultiStepLR", "begin": 0, "end": 12, "by_epoch": True, "milestones": [8, 11], "gamma": 0.1},
    ],
    [
        {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 3, "convert_to_iter_based": True},
        {"type": "CosineAnnealingLR", "begin": 3, "end": 12, "T_max": 9, "convert_to_iter_based": True},
    ],
    [
        {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 3},
        {"type": "CosineAnnealingLR", "begin": 3, "end": 12, "T_max": 9, "eta_min": 1e-4},
    ],
    [{"type": "PolyLR", "power": 0.9, "eta_min": 1e-4, "begin": 0, "end": 12}],
    [
        {"type": "ConstantLR", "factor": 0.3, "begin": 0, "end": 3},
        {"type": "StepLR", "step_size": 4, "gamma": 0.5, "begin": 0, "end": 12},
    ],
    [{"type": "MultiStepLR", "begin": 0, "end": 8, "milestones": [5, 10], "gamma": 0.1}],
    [{"type": "CosineAnnealingLR", "begin": 0, "end": 12, "T_max": 24}],
    [{"type": "ExponentialLR", "gamma": 0.9, "begin": 2, "end": 12}],
    [{"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 240, "by_epoch": False}],
    [{"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 12, "convert_to_iter_based": True}],
    [{"type": "CosineRestartLR", "periods": [4, 8], "restart_weights": [1, 0.5], "eta_min": 1e-4}],
    [{"type": "MultiStepLR", "milestones": [5, 8], "begin": 2, "end": 12, "convert_to_iter_based": True}],
    [{"type": "CosineAnnealingLR", "eta_min_ratio": 0.05, "begin": 0, "end": 240, "by_epoch": False}],
    [
        {"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": 40, "by_epoch": False},
        {"type": "MultiStepLR", "begin": 0, "end": 240, "by_epoch": False, "milestones": [100, 200], "gamma": 0.1},
    ],
    [{"type": "PolyLR", "power": 2.0, "begin": 60, "end": 240, "by_epoch": False}],
]
EPOCHS, UPDATES, MM_LR = 12, 20, 0.02


def executed_by_mmengine(configs):
    schedulers = pytest.importorskip("mmengine.optim.scheduler")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=MM_LR)
    built = []
    for config in map(dict, configs):
        converted, make = config.pop("convert_to_iter_based", False), getattr(schedulers, config.pop("type"))
        by_epoch = config.setdefault("by_epoch", True)
        config.setdefault("end", EPOCHS if by_epoch else EPOCHS * UPDATES)
        build = make.build_iter_from_epoch if converted else make
        built.append(build(optimizer, **config, **({"epoch_length": UPDATES} if converted else {})))
    executed = []
    for _ in range(EPOCHS):
        for _ in range(UPDATES):
            executed.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for scheduler in built:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in built:
            if scheduler.by_epoch:
                scheduler.step()
    return np.array(executed)


@pytest.mark.parametrize("configs", MM, ids=lambda given: "+".join(one["type"] for one in given))
def test_an_mmengine_plan_is_what_mmengine_executes(plan_of, configs):
    text = (
        f"optim_wrapper = dict(optimizer=dict(type='SGD', lr={MM_LR}))\n"
        f"param_scheduler = {configs!r}\n"
        f"train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={EPOCHS})\n"
    )
    plan = plan_of(text, "config.py", steps_per_epoch=UPDATES)
    steps = np.arange(EPOCHS * UPDATES) / UPDATES
    assert np.abs(plan.schedule.lr_at(steps) - executed_by_mmengine(configs)).max() <= 1e-12


ITERATIONS = [configs for configs in MM if all(not one.get("by_epoch", True) for one in configs)]


@pytest.mark.parametrize("configs", ITERATIONS, ids=lambda given: "+".join(one["type"] for one in given))
@pytest.mark.parametrize("sizes", [{}, {"steps_per_epoch": 30}], ids=["", "sized"])
def test_a_run_counted_in_iterations_is_planned_in_them(plan_of, configs, sizes):
    text = (
        f"optim_wrapper = dict(optimizer=dict(type='SGD', lr={MM_LR}))\n"
        f"param_scheduler = {configs!r}\n"
        f"train_cfg = dict(type='IterBasedTrainLoop', max_iters={EPOCHS * UPDATES})\n"
    )
    planned = plan_of(text, "config.py", **sizes).schedule.lr_at(np.arange(EPOCHS * UPDATES))
    assert np.abs(planned - executed_by_mmengine(configs)).max() <= 1e-12


BASE = {
    "_base_/schedule.py": """
        max_epochs = 36
        train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
        param_scheduler = [
            dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
            dict(type='MultiStepLR', begin=0, end=24, by_epoch=True, milestones=[28, 34], gamma=0.1)]
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9))
    """,
    "_base_/model.py": "model = dict(type='MaskRCNN')",
}


def test_an_mmengine_config_is_completed_by_its_bases_and_may_replace_parts(plan_of):
    own = "_base_ = ['./_base_/model.py', './_base_/schedule.py']\noptim_wrapper = dict(optimizer=dict(lr=0.01))"
    plan = plan_of(own, "config.py", beside=BASE)
    assert (plan.lr.value, plan.total.value, plan.fact("model")) == (0.01, 36.0, "MaskRCNN")
    assert plan.lr.place.path == "config.py"
    (dead,) = plan.ignored  # both milestones lie behind the scheduler's end, as in a config of mmdetection 3.3
    assert dead.setting.key == "param_scheduler[1].milestones"
    assert dead.setting.place.path == "_base_/schedule.py"


def test_delete_drops_what_was_inherited(plan_of):
    own = "_base_ = './_base_/schedule.py'\noptim_wrapper = dict(_delete_=True, optimizer=dict(type='AdamW', lr=1e-4))"
    plan = plan_of(own, "config.py", beside=BASE)
    assert (plan.optimizer.value, plan.lr.value) == ("AdamW", 1e-4)

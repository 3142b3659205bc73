"""What a remedy says in each framework's words, built by that framework, gives the remedy's learning rate."""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Remedy
from lrdoctor.model.run import Hint
from lrdoctor.model.schedule import Schedule
from lrdoctor.report.dialects import FrameworkCode, framework_code
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    InverseSqrt,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Overlaid,
    PolynomialLR,
    Sequence,
    StepLR,
    Stepped,
    Warmup,
    WarmupStableDecay,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")
UPDATES, PER_EPOCH = 120, 10
FAMILIES: dict[str, Schedule] = {
    "Constant": Constant(0.1),
    "StepLR": StepLR(0.1, 30, 0.5),
    "MultiStepLR": MultiStepLR(0.1, (40, 80), 0.2),
    "ExponentialLR": ExponentialLR(0.1, 0.99),
    "LinearLR": LinearLR(0.1, 100),
    "LinearLR to a floor": LinearLR(0.1, 100, end_factor=0.1),
    "PolynomialLR": PolynomialLR(0.1, 100, 2.0),
    "CosineAnnealingLR": CosineAnnealingLR(0.1, 100),
    "cosine to a floor": CosineAnnealingLR(0.1, 100, 1e-3),
    "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts(0.1, 20),
    "OneCycleLR": OneCycleLR(0.1, 120),
    "polynomial to a floor": PolynomialLR(0.1, 100, 2.0, 0.01),
}
OWN: dict[str, Schedule] = {
    "InverseSqrt": InverseSqrt(0.1, 40),
    "hold and linear decay": WarmupStableDecay(0.1, 60, 40, "linear"),
    "hold and cosine": WarmupStableDecay(0.1, 60, 40, "cosine"),
    "hold and 1-sqrt": WarmupStableDecay(0.1, 60, 40, "1-sqrt"),
}


@pytest.fixture
def said(healthy: Diagnosis) -> Any:
    """The words of a framework for a schedule."""

    def say(framework: str | None, schedule: Schedule, optimizer: str = "SGD") -> FrameworkCode:
        hints = (Hint("optimizer", optimizer, "args.yaml", "opt"),)
        run = replace(healthy.run, framework=framework, hints=hints, checkpoints=())
        trajectory = replace(healthy.trajectory, planned_steps=UPDATES, steps=UPDATES, steps_per_epoch=PER_EPOCH)
        diagnosis = replace(healthy, run=run, trajectory=trajectory)
        found = framework_code(Remedy("", schedule), diagnosis)
        assert found is not None
        return found

    return say


def stepped_per_epoch(schedule: Schedule) -> Schedule:
    return Stepped(schedule, PER_EPOCH, "epoch")


def close(executed: list[float], schedule: Schedule, warm: float = 0.0) -> None:
    due = schedule.lr_at(np.arange(len(executed)))
    assert executed == pytest.approx(due, rel=1e-5, abs=1e-9 + warm)


class Tape:
    """A model and its data; `loss_of` notes the LR of each update."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(2, 1)
        self.lrs: list[float] = []
        self.space: dict[str, Any] = {}

    def loss_of(self, model: Any, batch: Any) -> Any:
        self.lrs.append(self.space["optimizer"].param_groups[0]["lr"])
        return model(batch).sum()

    def run(self, code: str, **more: Any) -> list[float]:
        loader = torch.ones(PER_EPOCH, 1, 2)
        self.space = {
            "torch": torch, "model": self.model, "loader": loader, "epochs": UPDATES // PER_EPOCH,
            "loss_of": self.loss_of, "math": math, **more,
        }  # fmt: skip
        exec(code, self.space)
        return self.lrs


@pytest.mark.parametrize("family", FAMILIES)
def test_a_torch_training_loop(family: str, said: Any) -> None:
    if family == "OneCycleLR":  # its last call lands past the end, as in every loop
        close(Tape().run(said(None, OneCycleLR(0.1, 121)).code), OneCycleLR(0.1, 121))
        return
    close(Tape().run(said(None, FAMILIES[family]).code), FAMILIES[family])


def test_a_torch_loop_steps_a_schedule_of_epochs_once_an_epoch(said: Any) -> None:
    schedule = stepped_per_epoch(ExponentialLR(0.1, 0.8))
    close(Tape().run(said(None, schedule).code), schedule)


@pytest.mark.parametrize("per_epoch", [False, True])
def test_accelerate(per_epoch: bool, said: Any) -> None:
    accelerate = pytest.importorskip("accelerate")
    schedule: Schedule = Warmup(CosineAnnealingLR(0.1, 100), 20, 0.01)
    schedule = stepped_per_epoch(ExponentialLR(0.1, 0.8)) if per_epoch else schedule
    tape = Tape()
    loader = torch.utils.data.DataLoader(torch.ones(PER_EPOCH, 2), batch_size=1)
    close(
        tape.run(said("accelerate", schedule).code, loader=loader, accelerator=accelerate.Accelerator(cpu=True)),
        schedule,
    )


@pytest.mark.parametrize("per_epoch", [False, True])
def test_lightning(per_epoch: bool, said: Any) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    schedule: Schedule = Warmup(CosineAnnealingLR(0.1, 100, 1e-4), 20, 0.01)
    schedule = stepped_per_epoch(MultiStepLR(0.1, (3, 5), 0.1)) if per_epoch else schedule
    space: dict[str, Any] = {"torch": torch}
    exec(said("lightning", schedule).code, space)

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        configure_optimizers = space["configure_optimizers"]

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
            self.lrs: list[float] = []

        def training_step(self, batch: Any, index: int) -> Any:
            self.lrs.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return self.layer(batch).sum()

    trainer = lightning.Trainer(
        max_epochs=UPDATES // PER_EPOCH, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    model = Model()
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(PER_EPOCH, 2), batch_size=1))
    assert len(model.lrs) == UPDATES
    close(model.lrs, schedule)


HF = ["Constant", "LinearLR", "LinearLR to a floor", "PolynomialLR", "CosineAnnealingLR", "cosine to a floor",
      "CosineAnnealingWarmRestarts", "polynomial to a floor", *OWN]  # fmt: skip


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("family", HF)
def test_transformers(family: str, warm: bool, said: Any) -> None:
    transformers = pytest.importorskip("transformers")
    main = {**FAMILIES, **OWN}[family]
    schedule = Warmup(main, 20) if warm else main
    space: dict[str, Any] = {"TrainingArguments": transformers.TrainingArguments, "output_dir": "unused"}
    found = said("transformers", schedule, "adamw_torch")
    assert found.exact
    exec(found.code, space)
    args = space["args"]
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    scheduler = transformers.get_scheduler(
        args.lr_scheduler_type, optimizer, args.get_warmup_steps(args.max_steps), args.max_steps,
        args.lr_scheduler_kwargs,
    )  # fmt: skip
    close(steps(optimizer, scheduler.step, 100), schedule)


def steps(optimizer: Any, step: Any, count: int) -> list[float]:
    lrs = []
    for _ in range(count):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        step()
    return lrs


@pytest.mark.parametrize(
    "schedule", [OneCycleLR(0.1, 120), StepLR(0.1, 30), Warmup(CosineAnnealingLR(0.1, 100), 20, 0.3)]
)
def test_what_training_arguments_cannot_say_goes_to_the_trainer_as_a_scheduler(schedule: Schedule, said: Any) -> None:
    found = said("transformers", schedule)
    assert not found.exact
    assert found.code.startswith("# ")
    space = {"torch": torch, "model": torch.nn.Linear(2, 1), "Trainer": lambda *_, optimizers: optimizers}
    exec(found.code, space)
    optimizer, scheduler = space["trainer"]  # type: ignore[misc]
    close(steps(optimizer, scheduler.step, 110), schedule)


@pytest.fixture(scope="module")
def timm_scheduler() -> Iterator[Any]:
    """timm's schedulers without its models, which need torchvision; other tests' stand-ins are put back."""
    held = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "timm"}
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        sys.modules.update(held)
        pytest.skip("timm is not installed")
    package = ModuleType("timm")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["timm"] = package
    from timm.scheduler import create_scheduler

    yield create_scheduler
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        del sys.modules[name]
    sys.modules.update(held)


TIMM = ["Constant", "StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "LinearLR to a floor", "PolynomialLR",
        "CosineAnnealingLR", "cosine to a floor", "CosineAnnealingWarmRestarts", "polynomial to a floor",
        "hold and linear decay", "hold and 1-sqrt"]  # fmt: skip


@pytest.mark.parametrize("mode", ["epochs", "warm epochs", "updates"])
@pytest.mark.parametrize("family", TIMM)
def test_timm(family: str, mode: str, said: Any, timm_scheduler: Any, healthy: Diagnosis) -> None:
    schedule = {**FAMILIES, **OWN}[family]
    if mode == "updates":
        if family in ("MultiStepLR", "ExponentialLR"):
            assert not said("timm", schedule).exact
            return
        whole: Schedule = Warmup(schedule, 20, 0.01)
    else:
        whole = Warmup(schedule, 5, 0.01) if mode == "warm epochs" else schedule
    found = said("timm", whole if mode == "updates" else Stepped(whole, 1.0 + 1e-12, "epoch"))
    assert found.exact, found.code
    args = flags(found.code)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.lr)
    scheduler, _ = timm_scheduler(args, optimizer, updates_per_epoch=PER_EPOCH)
    lrs = []
    for tick in range(100):
        (scheduler.step_update if args.sched_on_updates else scheduler.step)(tick)
        lrs.append(optimizer.param_groups[0]["lr"])
    close(lrs, whole)


@pytest.mark.parametrize(
    "schedule",
    [
        Overlaid(CosineAnnealingLR(0.1, 100), 10, 0.01),
        Overlaid(StepLR(0.1, 30, 0.5), 5, 0.1),
        CosineAnnealingLR(0.1, 100, k_decay=0.7),
        CosineAnnealingWarmRestarts(0.1, 20, cycle_decay=0.5),
    ],
)
def test_what_only_timm_can_say(schedule: Schedule, said: Any, timm_scheduler: Any) -> None:
    """A warmup under which the main clock runs, k-decay, cycles of falling height."""
    args = flags(said("timm", Stepped(schedule, 1.0 + 1e-12, "epoch")).code)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.lr)
    scheduler, _ = timm_scheduler(args, optimizer)
    lrs = []
    for tick in range(100):
        scheduler.step(tick)
        lrs.append(optimizer.param_groups[0]["lr"])
    close(lrs, schedule)


@pytest.mark.parametrize("framework", [None, "lightning", "transformers", "mmengine", "accelerate"])
def test_a_warmup_under_which_the_main_clock_runs_is_not_said_wrongly(framework: str, healthy: Diagnosis) -> None:
    other = replace(healthy, run=replace(healthy.run, framework=framework))
    assert framework_code(Remedy("", Overlaid(CosineAnnealingLR(0.1, 100), 10)), other) is None


def flags(code: str) -> Any:
    """The flags as timm's argparse would hand them on."""
    words = code.replace("\\\n", " ").split()[3:]
    found: dict[str, list[Any]] = {}
    for word in words:
        if word.startswith("--"):
            values = found.setdefault(word[2:].replace("-", "_"), [])
        else:
            values.append(ast.literal_eval(word) if re.fullmatch(r"[\d.e+-]+", word) else word)
    several = ("decay_milestones",)
    return SimpleNamespace(
        **{"sched_on_updates": False, **{
            name: values if name in several else values[0] if values else True for name, values in found.items()
        }}
    )  # fmt: skip


@pytest.mark.parametrize("per_epoch", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_mmengine(family: str, warm: bool, per_epoch: bool, said: Any) -> None:
    scheduler = pytest.importorskip("mmengine.optim.scheduler")
    schedule: Schedule = Warmup(FAMILIES[family], 20, 0.01) if warm else FAMILIES[family]
    found = said("mmengine", Stepped(schedule, 1.0 + 1e-12, "epoch") if per_epoch else schedule)
    if family == "OneCycleLR" and warm:
        assert not found.exact
        return
    space: dict[str, Any] = {}
    exec(found.code, space)
    assert all(part.get("by_epoch") is per_epoch for part in space["param_scheduler"])
    settings = space["optim_wrapper"]["optimizer"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings["lr"], momentum=0.9)
    parts = [getattr(scheduler, part.pop("type"))(optimizer, **part) for part in space["param_scheduler"]]
    close(steps(optimizer, lambda: [part.step() for part in parts], 100), schedule)


def test_schedules_in_a_row_are_no_setting_of_any_framework(healthy: Diagnosis) -> None:
    row = Sequence((Constant(0.1), ExponentialLR(0.1, 0.99)), (50.0,))
    assert framework_code(Remedy("", row), healthy) is None


def test_a_framework_without_a_dialect_gets_none(healthy: Diagnosis) -> None:
    other = replace(healthy, run=replace(healthy.run, framework="keras"))
    assert framework_code(Remedy("", Constant(0.1)), other) is None

"""Every torch scheduler, stepped and saved by torch itself in both layouts, is recognised with its counters and LRs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.model.run import Checkpoint, SchedulerState
from lrdoctor.readers.checkpoint import read_checkpoint

torch = pytest.importorskip("torch")
from torch.optim import lr_scheduler as schedulers  # noqa: E402
from torch.optim.swa_utils import SWALR  # noqa: E402

STEPS = 7
LAYOUTS = {"zip": True, "legacy": False}
Build = Callable[[Any], Any]

CASES: dict[str, tuple[Build, dict[str, Any]]] = {
    "LambdaLR": (lambda o: schedulers.LambdaLR(o, lambda step: 0.9**step), {}),
    "StepLR": (lambda o: schedulers.StepLR(o, 3, 0.5), {"step_size": 3, "gamma": 0.5}),
    "MultiStepLR": (
        lambda o: schedulers.MultiStepLR(o, [5, 3, 3], 0.2),
        {"milestones": (3.0, 3.0, 5.0), "gamma": 0.2},
    ),
    "ConstantLR": (lambda o: schedulers.ConstantLR(o, 0.25, 5), {"factor": 0.25, "total_iters": 5}),
    "LinearLR": (
        lambda o: schedulers.LinearLR(o, 0.1, 0.8, 20),
        {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 20},
    ),
    "ExponentialLR": (lambda o: schedulers.ExponentialLR(o, 0.97), {"gamma": 0.97}),
    "PolynomialLR": (lambda o: schedulers.PolynomialLR(o, 30, 2.0), {"total_iters": 30, "power": 2.0}),
    "CosineAnnealingLR": (lambda o: schedulers.CosineAnnealingLR(o, 40, 1e-4), {"T_max": 40, "eta_min": 1e-4}),
    "CosineAnnealingWarmRestarts": (
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4, 2, 1e-5),
        {"T_0": 4, "T_mult": 2, "eta_min": 1e-5, "T_cur": 3, "T_i": 8},
    ),
    "CyclicLR": (
        lambda o: schedulers.CyclicLR(o, 1e-4, 1e-2, 6, 14, mode="triangular2"),
        {"mode": "triangular2", "base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 6, "step_size_down": 14},
    ),
    "OneCycleLR": (
        lambda o: schedulers.OneCycleLR(o, 0.3, total_steps=50, pct_start=0.4, div_factor=20, final_div_factor=100),
        {"max_lr": 0.3, "total_steps": 50, "pct_start": 0.4, "div_factor": 20, "final_div_factor": 100},
    ),
    "ReduceLROnPlateau": (
        lambda o: schedulers.ReduceLROnPlateau(o, "min", 0.2, 3, min_lr=1e-6),
        {"mode": "min", "factor": 0.2, "patience": 3, "min_lr": 1e-6},
    ),
    "SWALR": (lambda o: SWALR(o, 0.01, anneal_epochs=8), {"anneal_epochs": 8}),
}


def _trained(build: Build, optimizer_class: Any = None, steps: int = STEPS) -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = (optimizer_class or torch.optim.SGD)(model.parameters(), lr=0.1, **_momentum(optimizer_class))
    scheduler = build(optimizer)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        scheduler.step(*([1.0] if isinstance(scheduler, schedulers.ReduceLROnPlateau) else []))
    return model, optimizer, scheduler


def _momentum(optimizer_class: Any) -> dict[str, float]:
    return {"momentum": 0.9} if optimizer_class is None else {}


def _saved(folder: Path, trained: tuple[Any, Any, Any], *, layout: str) -> Checkpoint:
    model, optimizer, scheduler = trained
    path = folder / "last.pt"
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(held, path, _use_new_zipfile_serialization=LAYOUTS[layout])
    return read_checkpoint(str(path))


def _only(checkpoint: Checkpoint) -> SchedulerState:
    (state,) = checkpoint.schedulers
    return state


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", CASES)
def test_torch_scheduler_is_recognised(family: str, layout: str, tmp_path: Path) -> None:
    build, params = CASES[family]
    trained = _trained(build)
    _, optimizer, scheduler = trained
    state = _only(_saved(tmp_path, trained, layout=layout))
    assert state.family == family
    assert state.last_epoch == scheduler.last_epoch == STEPS
    assert state.last_lr == pytest.approx([group["lr"] for group in optimizer.param_groups])
    for name, value in params.items():
        assert state.params[name] == pytest.approx(value) if isinstance(value, float) else state.params[name] == value


@pytest.mark.parametrize(
    ("family", "count"), [("StepLR", STEPS + 1), ("CosineAnnealingWarmRestarts", 0), ("ReduceLROnPlateau", None)]
)
def test_step_count_is_torchs_own(family: str, count: int | None, tmp_path: Path) -> None:
    assert _only(_saved(tmp_path, _trained(CASES[family][0]), layout="zip")).step_count == count


def test_multiplicative_saves_what_lambda_saves(tmp_path: Path) -> None:
    trained = _trained(lambda o: schedulers.MultiplicativeLR(o, lambda step: 0.9))
    assert _only(_saved(tmp_path, trained, layout="zip")).family == "LambdaLR"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sequential_holds_its_parts(layout: str, tmp_path: Path) -> None:
    def build(optimizer: Any) -> Any:
        warmup = schedulers.LinearLR(optimizer, 0.1, total_iters=4)
        return schedulers.SequentialLR(optimizer, [warmup, schedulers.CosineAnnealingLR(optimizer, 20)], [4])

    state = _only(_saved(tmp_path, _trained(build), layout=layout))
    assert (state.family, state.last_epoch, state.params["milestones"]) == ("SequentialLR", STEPS, (4.0,))
    assert [child.family for child in state.children] == ["LinearLR", "CosineAnnealingLR"]
    assert state.children[1].last_epoch == STEPS - 4


def test_chained_holds_its_parts(tmp_path: Path) -> None:
    def build(optimizer: Any) -> Any:
        parts = [schedulers.ConstantLR(optimizer, 0.1, 3), schedulers.ExponentialLR(optimizer, 0.9)]
        return schedulers.ChainedScheduler(parts, optimizer)

    state = _only(_saved(tmp_path, _trained(build), layout="zip"))
    assert state.family == "ChainedScheduler"
    assert [child.family for child in state.children] == ["ConstantLR", "ExponentialLR"]


def test_one_cycle_finds_its_peak_in_each_group_of_the_optimizer(tmp_path: Path) -> None:
    first, second = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD([{"params": first.parameters()}, {"params": second.parameters()}], lr=0.1)
    scheduler = schedulers.OneCycleLR(optimizer, [0.3, 0.1], total_steps=50, cycle_momentum=False)
    state = _only(_saved(tmp_path, (first, optimizer, scheduler), layout="zip"))
    assert state.params["max_lr"] == (0.3, 0.1)


def test_older_torch_with_verbose_and_without_is_initial_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.pt"
    state = {"T_max": 9, "eta_min": 0, "base_lrs": [0.1], "last_epoch": 3, "verbose": False, "_step_count": 4}
    torch.save({"scheduler": state}, path)
    assert _only(read_checkpoint(str(path))).family == "CosineAnnealingLR"


def test_a_metric_passed_as_epoch_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"scheduler": {"step_size": 3, "gamma": 0.1, "base_lrs": [0.1], "last_epoch": 0.31}}, path)
    assert _only(read_checkpoint(str(path))).last_epoch == 0.31


def test_a_whole_scheduler_object_is_recognised_by_its_class(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    _, optimizer, _ = _trained(CASES["StepLR"][0])
    torch.save({"scheduler": schedulers.MultiplicativeLR(optimizer, _decay)}, path)
    assert _only(read_checkpoint(str(path))).family == "MultiplicativeLR"


def _decay(step: int) -> float:
    return 0.9


def test_a_scheduler_of_another_library_is_kept_without_a_family(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"lr_scheduler": {"last_batch_iteration": 41}}, path)
    state = _only(read_checkpoint(str(path)))
    assert (state.family, state.last_epoch) == (None, 41)


OPTIMIZERS = {
    "SGD": "SGD",
    "Adam": "Adam",
    "AdamW": "AdamW",
    "NAdam": "NAdam",
    "RMSprop": "RMSprop",
    "Adagrad": "Adagrad",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_is_recognised_with_its_step(name: str, layout: str, tmp_path: Path) -> None:
    optimizer_class = None if name == "SGD" else getattr(torch.optim, name)
    trained = _trained(CASES["StepLR"][0], optimizer_class)
    found = _saved(tmp_path, trained, layout=layout).optimizer
    assert found is not None
    assert found.name == OPTIMIZERS[name]
    assert found.step == (None if name == "SGD" else STEPS)
    assert (found.state_size, found.param_count) == (2, 2)
    group = trained[1].param_groups[0]
    assert (found.param_groups[0]["lr"], found.param_groups[0]["initial_lr"]) == (group["lr"], 0.1)


def test_betas_are_told_apart(tmp_path: Path) -> None:
    found = _saved(tmp_path, _trained(CASES["StepLR"][0], torch.optim.AdamW), layout="zip").optimizer
    assert found is not None
    assert (found.param_groups[0]["beta1"], found.param_groups[0]["beta2"]) == (0.9, 0.999)


def test_an_lr_kept_in_a_tensor_is_read(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.25))
    torch.save({"optimizer": optimizer.state_dict()}, tmp_path / "last.pt")
    found = read_checkpoint(str(tmp_path / "last.pt")).optimizer
    assert found is not None
    assert found.param_groups[0]["lr"] == 0.25


def test_the_largest_step_of_any_parameter_counts(tmp_path: Path) -> None:
    state = {n: {"step": torch.tensor(float(n)), "exp_avg": torch.ones(2)} for n in (3, 900, 17)}
    torch.save({"optimizer": {"state": state, "param_groups": [{"lr": 0.1, "params": [0, 1, 2]}]}}, tmp_path / "a.pt")
    found = read_checkpoint(str(tmp_path / "a.pt")).optimizer
    assert found is not None
    assert found.step == 900


def test_an_optimizer_that_never_stepped_has_no_step(tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(torch.nn.Linear(3, 2).parameters(), lr=0.1)
    torch.save({"optimizer": optimizer.state_dict()}, tmp_path / "last.pt")
    found = read_checkpoint(str(tmp_path / "last.pt")).optimizer
    assert found is not None
    assert (found.step, found.state_size) == (None, 0)

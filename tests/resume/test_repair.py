"""torch trains and saves without the scheduler; the repaired copy, loaded by torch, goes on as the run that kept it."""

from __future__ import annotations

import copy
import csv
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lrdoctor.cli.main import cli
from lrdoctor.errors import LrdoctorError, ReadError, UsageError

torch = pytest.importorskip("torch")
S = torch.optim.lr_scheduler
STEPS, CUT, FURTHER = 240, 97, 60
Build = Callable[[Any], Any]


def warm(optimizer: Any, main: Any) -> Any:
    ramp = S.LinearLR(optimizer, start_factor=0.1, total_iters=20)
    return S.SequentialLR(optimizer, [ramp, main], milestones=[20])


SCHEDULERS: dict[str, Build] = {
    "StepLR": lambda o: S.StepLR(o, 30, 0.5),
    "MultiStepLR": lambda o: S.MultiStepLR(o, [40, 90, 130], 0.3),
    "ExponentialLR": lambda o: S.ExponentialLR(o, 0.99),
    "LinearLR": lambda o: S.LinearLR(o, 1.0, 0.1, 200),
    "PolynomialLR": lambda o: S.PolynomialLR(o, 240, 2.0),
    "CosineAnnealingLR": lambda o: S.CosineAnnealingLR(o, 240, 1e-4),
    "CosineAnnealingWarmRestarts": lambda o: S.CosineAnnealingWarmRestarts(o, 30, 2),
    "OneCycleLR": lambda o: S.OneCycleLR(o, 0.1, total_steps=240),
    "OneCycleLR in three phases": lambda o: S.OneCycleLR(o, 0.1, total_steps=240, three_phase=True, pct_start=0.4),
    "CyclicLR": lambda o: S.CyclicLR(o, 0.01, 0.1, 20, 30, mode="triangular2"),
    "warmup and cosine": lambda o: warm(o, S.CosineAnnealingLR(o, 220)),
    "warmup and steps": lambda o: warm(o, S.StepLR(o, 50, 0.2)),
    "warmup and restarts": lambda o: warm(o, S.CosineAnnealingWarmRestarts(o, 40)),
}

SAID = {"StepLR": ("--stepped", "update")}  # its plateaus may as well be epochs


class Training:
    """A small model, trained under a scheduler; `lrs` are those of each update."""

    def __init__(self, build: Build, optimizer: str = "AdamW", groups: int = 1) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(groups)))
        parts = [{"params": layer.parameters(), "lr": 0.1 * 0.5**i} for i, layer in enumerate(self.model)]
        given = {"momentum": 0.9} if optimizer == "SGD" else {}
        self.optimizer = getattr(torch.optim, optimizer)(parts, lr=0.1, **given)
        self.scheduler = build(self.optimizer)
        self.lrs: list[float] = []
        self.all: list[list[float]] = []
        self.momenta: list[float] = []

    def go(self, updates: int) -> Training:
        for _ in range(updates):
            group = self.optimizer.param_groups[0]
            self.lrs.append(group["lr"])
            self.all.append([one["lr"] for one in self.optimizer.param_groups])
            self.momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
            self.optimizer.zero_grad()
            self.model(torch.ones(1, 3)).sum().backward()
            self.optimizer.step()
            self.scheduler.step()
        return self

    def log(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "metrics.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["step", "lr", "loss"])
            out.writerows([step, lr, 1.0 / (1 + step)] for step, lr in enumerate(self.lrs))

    def parts(self, **more: Any) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), **more}

    def resumed(self, saved: dict[str, Any], key: str = "scheduler") -> Training:
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved[key])
        return self


def repair(*arguments: object) -> str:
    """Run the command; its errors are raised."""
    result = CliRunner().invoke(cli, ["repair", *map(str, arguments)])
    if isinstance(result.exception, LrdoctorError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_copy_holds_what_torch_would_have_saved_and_goes_on_as_the_healthy_run(name: str, tmp_path: Path) -> None:
    build = SCHEDULERS[name]
    healthy = Training(build).go(CUT)
    torch.save(healthy.parts(step=CUT), tmp_path / "cut.pt")
    expected = copy.deepcopy(healthy.scheduler.state_dict())
    healthy.go(STEPS - CUT).log(tmp_path / "run")

    repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt", *SAID.get(name, ()))

    saved = torch.load(tmp_path / "new.pt", weights_only=True)
    loosely = {"base_momentums", "max_momentums"} if name == "CyclicLR" else set()  # its own, not the log's
    same(saved["scheduler"], {key: value for key, value in expected.items() if key not in loosely})
    again = Training(build).resumed(saved).go(FURTHER)
    assert again.lrs == pytest.approx(healthy.lrs[CUT : CUT + FURTHER], rel=1e-9, abs=1e-12)
    assert again.momenta == pytest.approx(healthy.momenta[CUT : CUT + FURTHER], rel=1e-9)


def same(state: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert {str(key) for key in state} == {str(key) for key in expected}
        for key, value in expected.items():
            same(state[key], value)
    elif isinstance(expected, list | tuple):
        assert len(state) == len(expected)
        for one, other in zip(state, expected, strict=True):
            same(one, other)
    else:
        assert state == (pytest.approx(expected, rel=1e-7, abs=1e-12) if isinstance(expected, float) else expected)


def test_every_tensor_and_every_other_member_is_untouched_and_aligned(tmp_path: Path) -> None:
    healthy = Training(SCHEDULERS["CosineAnnealingLR"], groups=7).go(CUT)
    torch.save(healthy.parts(step=CUT, name="ü" * 50), tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(tmp_path / "run")
    repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "cut.pt") as old, zipfile.ZipFile(tmp_path / "new.pt") as new:
        assert new.testzip() is None
        assert new.namelist() == old.namelist()
        for name in old.namelist():
            assert name.endswith("data.pkl") or new.read(name) == old.read(name)
            header = (tmp_path / "new.pt").read_bytes()[new.getinfo(name).header_offset :][:30]
            start = new.getinfo(name).header_offset + 30 + int.from_bytes(header[26:28], "little")
            assert (start + int.from_bytes(header[28:30], "little")) % 64 == 0
    mapped = torch.load(tmp_path / "new.pt", weights_only=True, mmap=True)
    plain = torch.load(tmp_path / "cut.pt", weights_only=True)
    for key, tensor in plain["model"].items():
        assert torch.equal(mapped["model"][key], tensor)


def test_wrong_learning_rates_in_the_optimizer_are_put_right(tmp_path: Path) -> None:
    """The run lost its scheduler at update 90: from there its cosine was one of another height."""
    first = Training(SCHEDULERS["CosineAnnealingLR"]).go(90)
    second = Training(SCHEDULERS["CosineAnnealingLR"])
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.lrs = first.lrs
    second.go(100)
    second.log(tmp_path / "run")
    torch.save(second.parts(step=190), tmp_path / "run" / "at_190.pt")
    torch.save(first.parts(step=90), tmp_path / "run" / "at_090.pt")
    repair(tmp_path / "run" / "at_190.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt")
    saved = torch.load(tmp_path / "new.pt", weights_only=True)
    healthy = Training(SCHEDULERS["CosineAnnealingLR"]).go(240)
    again = Training(SCHEDULERS["CosineAnnealingLR"]).resumed(saved).go(40)
    assert second.optimizer.param_groups[0]["lr"] > 1.2 * healthy.lrs[190]
    assert again.lrs == pytest.approx(healthy.lrs[190:230], rel=1e-5)


def test_each_parameter_group_keeps_its_own_base_lr(tmp_path: Path) -> None:
    build = SCHEDULERS["warmup and cosine"]
    healthy = Training(build, groups=3).go(CUT)
    torch.save(healthy.parts(step=CUT), tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(tmp_path / "run")
    repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt")
    again = Training(build, groups=3).resumed(torch.load(tmp_path / "new.pt", weights_only=True)).go(5)
    for mine, theirs in zip(again.all, healthy.all[CUT : CUT + 5], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)


def test_the_state_is_filed_where_the_other_checkpoints_have_it(tmp_path: Path) -> None:
    healthy = Training(SCHEDULERS["ExponentialLR"]).go(50)
    run = tmp_path / "run"
    run.mkdir()
    torch.save({"state": healthy.parts(lr_sched=healthy.scheduler.state_dict()), "step": 50}, run / "a.pt")
    healthy.go(CUT - 50)
    torch.save({"state": healthy.parts(), "step": CUT}, tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(run)
    out = repair(tmp_path / "cut.pt", "--run", run, "-o", tmp_path / "new.pt")
    assert "under state.lr_sched" in out
    saved = torch.load(tmp_path / "new.pt", weights_only=True)["state"]
    again = Training(SCHEDULERS["ExponentialLR"]).resumed(saved, "lr_sched").go(FURTHER)
    assert again.lrs == pytest.approx(healthy.lrs[CUT : CUT + FURTHER], rel=1e-9)


def test_a_key_of_the_users_choice_may_be_nested_and_new(tmp_path: Path) -> None:
    healthy = Training(SCHEDULERS["MultiStepLR"]).go(CUT)
    torch.save(healthy.parts(step=CUT), tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(tmp_path / "run")
    repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt", "--key", "extra.scheds[0]")
    assert torch.load(tmp_path / "new.pt", weights_only=True)["extra"]["scheds"][0]["last_epoch"] == CUT


def test_a_schedule_known_only_from_another_checkpoint(tmp_path: Path) -> None:
    """No log at all: the class and its numbers come from the checkpoint before."""
    build = SCHEDULERS["warmup and cosine"]
    run = tmp_path / "run"
    run.mkdir()
    healthy = Training(build).go(40)
    torch.save(healthy.parts(scheduler=healthy.scheduler.state_dict(), step=40), run / "a.pt")
    healthy.go(CUT - 40)
    torch.save(healthy.parts(step=CUT), run / "b.pt")
    healthy.go(FURTHER)
    repair(run / "b.pt", "--run", run, "-o", tmp_path / "new.pt")
    again = Training(build).resumed(torch.load(tmp_path / "new.pt", weights_only=True)).go(FURTHER)
    assert again.lrs == pytest.approx(healthy.lrs[CUT:], rel=1e-9)


def test_a_scheduler_stepped_once_per_epoch(tmp_path: Path) -> None:
    """Epochs of 20 updates; the checkpoint knows its epoch alone, and its LR says how often step() was called."""
    run = tmp_path / "run"
    run.mkdir()
    training = Training(SCHEDULERS["ExponentialLR"])
    rows = []
    for epoch in range(30):
        for batch in range(20):
            rows.append([epoch * 20 + batch, epoch, training.optimizer.param_groups[0]["lr"]])
            training.optimizer.step()
        training.scheduler.step()
        if epoch == 11:
            optimizer = training.optimizer.state_dict() | {"state": {}}
            torch.save({"epoch": epoch, "optimizer": optimizer}, tmp_path / "cut.pt")
    with (run / "log.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["step", "epoch", "lr"], *rows])
    repair(tmp_path / "cut.pt", "--run", run, "-o", tmp_path / "new.pt")
    assert torch.load(tmp_path / "new.pt", weights_only=True)["scheduler"]["last_epoch"] == 12


def test_a_lambda_keeps_its_formula_in_the_script(tmp_path: Path) -> None:
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    for number, schedule in enumerate((get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup)):
        build = partial(schedule, num_warmup_steps=20, num_training_steps=240)
        old, new, run = (tmp_path / f"{number}-{name}" for name in ("cut.pt", "new.pt", "run"))
        healthy = Training(build).go(CUT)
        torch.save(healthy.parts(step=CUT), old)
        healthy.go(STEPS - CUT).log(run)
        repair(old, "--run", run, "-o", new, "--scheduler", "lambda")
        again = Training(build).resumed(torch.load(new, weights_only=True)).go(FURTHER)
        assert again.lrs == pytest.approx(healthy.lrs[CUT : CUT + FURTHER], rel=1e-9)


# --- what cannot be repaired ------------------------------------------------------------------------------------------


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    healthy = Training(SCHEDULERS["CosineAnnealingLR"]).go(CUT)
    torch.save(healthy.parts(step=CUT), tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(tmp_path / "run")
    return tmp_path / "cut.pt"


def test_nothing_is_ever_overwritten(cut: Path) -> None:
    before = cut.read_bytes()
    with pytest.raises(UsageError, match="something is in its place"):
        repair(cut, "--run", cut.parent / "run", "-o", cut)
    assert cut.read_bytes() == before
    assert sorted(path.name for path in cut.parent.iterdir()) == ["cut.pt", "run"]


def test_a_legacy_file_is_refused(cut: Path) -> None:
    saved = torch.load(cut, weights_only=True)
    torch.save(saved, cut.parent / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ReadError, match="no zip file"):
        repair(cut.parent / "old.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")
    assert not (cut.parent / "new.pt").exists()


def test_a_checkpoint_from_after_the_end_of_the_run_is_not_of_it(cut: Path) -> None:
    saved = torch.load(cut, weights_only=True)
    for state in saved["optimizer"]["state"].values():
        state["step"] += 900
    saved["step"] += 900
    torch.save(saved, cut.parent / "late.pt")
    with pytest.raises(UsageError, match="disagree about the step"):
        repair(cut.parent / "late.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")


def test_a_checkpoint_whose_counters_contradict_each_other_needs_the_step(cut: Path) -> None:
    saved = torch.load(cut, weights_only=True)
    saved["step"] = 140
    torch.save(saved, cut.parent / "odd.pt")
    with pytest.raises(UsageError, match="contradicts itself"):
        repair(cut.parent / "odd.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")
    repair(cut.parent / "odd.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt", "--step", CUT)
    assert torch.load(cut.parent / "new.pt", weights_only=True)["scheduler"]["last_epoch"] == CUT


def test_a_run_without_a_known_schedule(cut: Path) -> None:
    lrs = torch.rand(STEPS, generator=torch.Generator().manual_seed(1)).tolist()
    rows = "\n".join(f"{step},{lr}" for step, lr in enumerate(lrs))
    (cut.parent / "run" / "metrics.csv").write_text(f"step,lr\n{rows}\n")
    with pytest.raises(ReadError, match="No schedule was identified"):
        repair(cut, "--run", cut.parent / "run", "-o", cut.parent / "new.pt")


def test_plateaus_of_one_length_need_to_be_told_from_epochs(tmp_path: Path) -> None:
    healthy = Training(SCHEDULERS["StepLR"]).go(CUT)
    torch.save(healthy.parts(step=CUT), tmp_path / "cut.pt")
    healthy.go(STEPS - CUT).log(tmp_path / "run")
    with pytest.raises(UsageError, match="how often"):
        repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt")
    torch.save(healthy.parts(scheduler=healthy.scheduler.state_dict(), step=STEPS), tmp_path / "run" / "end.pt")
    repair(tmp_path / "cut.pt", "--run", tmp_path / "run", "-o", tmp_path / "new.pt")
    assert torch.load(tmp_path / "new.pt", weights_only=True)["scheduler"]["last_epoch"] == CUT


def test_two_optimizers_are_more_than_a_log_tells(cut: Path) -> None:
    saved = torch.load(cut, weights_only=True)
    torch.save({**saved, "other": saved["optimizer"]}, cut.parent / "gan.pt")
    with pytest.raises(UsageError, match="holds 2 optimizers"):
        repair(cut.parent / "gan.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")


def test_other_checkpoints_of_another_class_contradict_the_log(cut: Path) -> None:
    other = Training(SCHEDULERS["StepLR"]).go(10)
    torch.save(other.parts(scheduler=other.scheduler.state_dict(), step=10), cut.parent / "run" / "a.pt")
    with pytest.raises(UsageError, match="disagree about the scheduler"):
        repair(cut, "--run", cut.parent / "run", "-o", cut.parent / "new.pt")


def test_a_checkpoint_that_holds_another_scheduler_is_not_overruled_by_the_log(cut: Path) -> None:
    """Cuts that follow a metric look like milestones in a log."""
    saved = torch.load(cut, weights_only=True)
    plateau = S.ReduceLROnPlateau(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1))
    torch.save({**saved, "scheduler": plateau.state_dict()}, cut.parent / "held.pt")
    with pytest.raises(UsageError, match="disagree about the scheduler"):
        repair(cut.parent / "held.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")


def test_a_wrong_clock_of_the_right_scheduler_is_put_right(cut: Path) -> None:
    saved = torch.load(cut, weights_only=True)
    other = Training(SCHEDULERS["CosineAnnealingLR"]).go(7)
    torch.save({**saved, "lr_sched": other.scheduler.state_dict()}, cut.parent / "held.pt")
    repair(cut.parent / "held.pt", "--run", cut.parent / "run", "-o", cut.parent / "new.pt")
    assert torch.load(cut.parent / "new.pt", weights_only=True)["lr_sched"]["last_epoch"] == CUT

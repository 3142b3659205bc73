"""Runs whose learning rate torch itself executed, and what the built-in rules say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.engine import Evidence, Rule, Sibling, apply_rules, load_rules, sibling_of
from lrdoctor.identify import identify
from lrdoctor.model.arrays import floats
from lrdoctor.model.finding import Finding
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.reconstruct import reconstruct
from lrdoctor.resources import rules_dir
from lrdoctor.schedules import Unknown
from lrdoctor.testing import examine

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler


@dataclass(frozen=True)
class Executed:
    """The learning rate of every update and the checkpoints written."""

    lrs: tuple[float, ...]
    checkpoints: tuple[str, ...]


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Executed]:
    """Steps a torch optimizer and scheduler.

    `build(lr_scheduler, optimizer)` makes the scheduler, which is stepped every `per` updates. At the updates `lost_at`
    a new session begins that loads the optimizer's state and not the scheduler's; at `kept_at` one that loads both.
    `save_at` writes checkpoints, with the scheduler unless `unsaved`.
    """

    def run(
        build: Callable[[Any, Any], Any],
        steps: int,
        *,
        per: int = 1,
        lr: float = 0.1,
        lost_at: Sequence[int] = (),
        kept_at: Sequence[int] = (),
        save_at: Sequence[int] = (),
        unsaved: bool = False,
        optimizer: str = "SGD",
        updates_per_epoch: int = 20,
    ) -> Executed:
        model = torch.nn.Linear(2, 1)

        def session() -> tuple[Any, Any]:
            new = getattr(torch.optim, optimizer)(model.parameters(), lr=lr)
            return new, build(schedulers, new)

        opt, sched = session()
        lrs, written = [], []
        for step in range(steps):
            if step in (*lost_at, *kept_at):
                old, clock = opt.state_dict(), sched.state_dict()
                opt, sched = session()
                opt.load_state_dict(old)
                if step in kept_at:
                    sched.load_state_dict(clock)
            lrs.append(float(opt.param_groups[0]["lr"]))
            model(torch.ones(1, 2)).sum().backward()
            opt.step()
            opt.zero_grad()
            if (step + 1) % per == 0:
                sched.step()
            if step + 1 in save_at:
                state = {"model": model.state_dict(), "optimizer": opt.state_dict(), "global_step": step + 1}
                state |= {"epoch": (step + 1) // updates_per_epoch}
                state |= {} if unsaved else {"scheduler": sched.state_dict()}
                path = tmp_path / f"step_{step + 1}.pt"
                torch.save(state, path)
                written.append(str(path))
        return Executed(tuple(lrs), tuple(written))

    return run


@pytest.fixture
def diagnose() -> Callable[..., list[Finding]]:
    """The active findings on an executed run; `float32` as TensorBoard logs it. Further settings are synth.run's.

    `losses` are the losses that were trained with, in place of made-up ones. `identified=False` leaves the schedule
    unread, for rules that rest on the log itself: reading an odd one takes long.
    """
    rules = _built_in()

    def ask(
        executed: Executed | Sequence[float],
        *,
        float32: bool = False,
        identified: bool = True,
        losses: Sequence[float] | None = None,
        siblings: Sequence[synth.RunSpec] = (),
        **settings: Any,
    ) -> list[Finding]:
        executed = executed if isinstance(executed, Executed) else Executed(tuple(executed), ())
        lrs = np.asarray(executed.lrs, dtype=np.float32 if float32 else np.float64).tolist()
        spec = synth.run(
            Unknown(tuple(range(len(lrs))), tuple(lrs)), **{"steps": len(lrs), "complete": None, **settings}
        )
        run = spec.build() if losses is None else _with_losses(spec.build(), losses)
        run = replace(run, checkpoints=tuple(read_checkpoint(path) for path in executed.checkpoints))
        trajectory = reconstruct(run)
        beside = tuple(_sibling(spec) for spec in siblings)
        reading = identify(trajectory, run.checkpoints) if identified else Identification()
        applied = apply_rules(rules, Evidence(run, trajectory, reading, beside))
        assert applied.problems == ()
        return [finding for finding in applied.findings if finding.suppressed_by is None]

    return ask


@cache
def _built_in() -> tuple[Rule, ...]:
    return load_rules([rules_dir()])


def _with_losses(run: Run, losses: Sequence[float]) -> Run:
    trained = [replace(one, values=floats(losses)) if one.tag == "train/loss" else one for one in run.series]
    return replace(run, series=tuple(trained))


def _sibling(spec: synth.RunSpec) -> Sibling:
    evidence = examine(spec)
    return sibling_of(evidence.run, evidence.trajectory, evidence.identification)


class Script:
    """A training loop that a test writes out itself: `update` makes one update, `save` a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = torch.nn.Linear(2, 1)
        self.lrs: list[float] = []
        self.checkpoints: list[str] = []

    def optimizer(self, name: str = "Adam", lr: float = 0.1, **settings: Any) -> Any:
        return getattr(torch.optim, name)(self.model.parameters(), lr=lr, **settings)

    def update(self, optimizer: Any) -> None:
        """Note the learning rate in force, then use it."""
        self.lrs.append(float(optimizer.param_groups[0]["lr"]))
        self.model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    def save(self, optimizer: Any, scheduler: Any = None, **more: Any) -> str:
        """A checkpoint after the updates made so far; `more` replaces or adds entries."""
        state = {"model": self.model.state_dict(), "global_step": len(self.lrs)}
        state |= {"optimizer": optimizer.state_dict()} if optimizer is not None else {}
        state |= {"scheduler": scheduler.state_dict()} if scheduler is not None else {}
        path = self.folder / f"step_{len(self.lrs)}.pt"
        torch.save(state | more, path)
        self.checkpoints.append(str(path))
        return str(path)

    @property
    def executed(self) -> Executed:
        return Executed(tuple(self.lrs), tuple(self.checkpoints))


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


PER_EPOCH = 20


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., list[Finding]]:
    """What the rules on plateaus say of a run under torch's ReduceLROnPlateau."""

    def run(
        metric: Callable[[int], float],
        *,
        tag: str,
        epochs: int = 40,
        lr: float = 0.1,
        told: Callable[[int, float], Any] = lambda epoch, value: value,
        log_lr: bool = True,
        save: bool = True,
        per: int = 1,
        scheduler: str | None = "ReduceLROnPlateau",
        further: dict[str, Sequence[float]] | None = None,
        **arguments: Any,
    ) -> list[Finding]:
        """What the rules on plateaus say of a run whose scheduler is told `told(epoch, metric(epoch))` once an epoch.

        `per` calls an epoch; `further` are other curves by tag, a value an epoch.
        """
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
        lrs, values = [], []
        for epoch in range(epochs):
            lrs.append(float(optimizer.param_groups[0]["lr"]))
            values.append(float(metric(epoch)))
            optimizer.step()
            for _ in range(per):
                plateau.step(told(epoch, values[-1]))
        path = tmp_path / "last.pt"
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": plateau.state_dict()}
        torch.save({**state, "global_step": epochs * PER_EPOCH, "epoch": epochs}, path)
        ticks = tuple(float(epoch * PER_EPOCH) for epoch in range(epochs))
        curves = {tag: values, **(further or {})}
        spec = synth.run(
            Unknown(ticks, tuple(lrs)),
            steps=epochs * PER_EPOCH,
            steps_per_epoch=PER_EPOCH,
            log_every=PER_EPOCH,
            log_lr=log_lr,
            complete=None,
            loss=None,
            curves={name: Unknown(ticks, tuple(map(float, column))) for name, column in curves.items()},
            declared={"scheduler": scheduler} if scheduler else {},
        )
        run = replace(spec.build(), checkpoints=(read_checkpoint(str(path)),) if save else ())
        trajectory = reconstruct(run)
        rules = [rule for rule in load_rules([rules_dir()]) if rule.code in ("LR601", "LR602")]
        applied = apply_rules(rules, Evidence(run, trajectory, identify(trajectory, run.checkpoints)))
        assert applied.problems == ()
        return [finding for finding in applied.findings if finding.suppressed_by is None]

    return run

"""A folder of runs that grow on command, under a clock that is set by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, OneCycleLR, Stepped
from lrdoctor.watching.events import Event
from lrdoctor.watching.watch import Watch

PER_EPOCH = 50
PLANNED = 40 * PER_EPOCH
PER_EPOCH_CYCLE = Stepped(OneCycleLR(0.1, PLANNED), PER_EPOCH, "epoch")
COSINE = CosineAnnealingLR(0.1, T_max=PLANNED)


@dataclass
class Training:
    """A training that writes Lightning's metrics.csv."""

    folder: Path
    schedule: Schedule
    at: int = 0

    def rows(self, count: int) -> str:
        steps = np.arange(self.at, self.at + count, dtype=float)
        self.at += count
        lrs = self.schedule.lr_at(steps)
        return "".join(
            f"{int(step) // PER_EPOCH},{int(step)},{float(lr)!r},{1 + 2 / (1 + step / 50)!r}\n"
            for step, lr in zip(steps, lrs, strict=True)
        )

    def train(self, updates: int, *, file: str = "metrics.csv") -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        start = "" if path.exists() else "epoch,step,lr,train_loss\n"
        with path.open("a") as stream:
            stream.write(start + self.rows(updates))

    def plan(self, updates: int) -> None:
        """State the planned length, as Transformers' and Lightning's settings do."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hparams.yaml").write_text(f"max_steps: {updates}\n")


@dataclass
class Scene:
    """`look()` polls after `seconds` of a clock that is set by hand and starts now."""

    root: Path
    now: float = field(default_factory=time.time)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch([str(self.root)], settled_after=300, clock=lambda: self.now)

    def training(self, name: str, schedule: Schedule = COSINE) -> Training:
        return Training(self.root / name, schedule)

    def look(self, seconds: float = 60) -> list[tuple[str, str]]:
        """(kind, run or code) of each event."""
        self.now += seconds
        return [(event.kind, self._about(event)) for event in self.watch.poll()]

    def _about(self, event: Event) -> str:
        name = Path(event.path).name
        json.loads(event.line())
        return f"{name} {event.finding.code}" if event.finding is not None else name

    def points(self, name: str) -> int:
        run = next(run for run in self.watch.runs if Path(run.files.path).name == name)
        return run.diagnosis.trajectory.lr_points if run.diagnosis is not None else 0


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "runs").mkdir()
    return Scene(tmp_path / "runs")


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many runs were read since it was asked last."""
    import lrdoctor.watching.watch as module

    calls: list[str] = []
    examine = module.examine

    def counted(files, *rest):  # type: ignore[no-untyped-def]
        calls.append(files.path)
        return examine(files, *rest)

    monkeypatch.setattr(module, "examine", counted)

    def since() -> int:
        count = len(calls)
        calls.clear()
        return count

    return since

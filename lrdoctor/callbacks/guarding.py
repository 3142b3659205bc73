"""`guard(optimizer, scheduler)`: watches the LR a training really uses, and speaks up when its schedule is at fault."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from lrdoctor.callbacks.live import live_checkpoint, live_run
from lrdoctor.engine import Evidence, apply_rules, load_rules, select_rules
from lrdoctor.engine.rule import Rule
from lrdoctor.errors import ScheduleFaultError
from lrdoctor.identify import identify
from lrdoctor.identify.declared import stated_whole
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.finding import Finding
from lrdoctor.model.run import Checkpoint, Run, Scalar
from lrdoctor.model.schedule import Schedule
from lrdoctor.reconstruct import reconstruct
from lrdoctor.resources import rules_dir
from lrdoctor.schedules import Stepped

SHARE_OF_TIME = 0.005
"""After the first look, looking again may take this share of the training's time."""
FIRST_LOOK = 100
"""Updates before the first look where nothing tells the length of an epoch."""
GROWTH = 1.3
"""A look pays once the log has grown by this factor."""
MAX_POINTS = 4000
"""So many updates are kept at most; of a longer training every second, every fourth, ... one."""
PLAN_POINTS = 500
# Of a scheduler that was not stepped yet only the end of an epoch, or of the training, tells whether it ever will be.
_NEEDS_EPOCHS = frozenset({"LR105"})
# A live scheduler's counters are exact: what a log shows only after three epochs they show after one.
_LIVE_OPTIONS: dict[str, dict[str, Any]] = {"LR101": {"epochs": 1}}


class ScheduleWarning(UserWarning):
    """A fault of the learning-rate schedule, found while training."""


class Guard:
    """Records the LR of every optimizer update and asks the rules about it; made by `guard`.

    `findings` are those reported so far. `close()` ends it (as does leaving a `with` block); it looks once more then.
    """

    def __init__(
        self,
        optimizer: Any,
        scheduler: Any = None,
        *,
        known: dict[str, Scalar],
        interval: Literal["update", "epoch"] | None,
        framework: str | None,
        strict: bool,
        rules: tuple[Rule, ...],
    ) -> None:
        self.findings: list[Finding] = []
        self.updates = 0
        self._optimizer, self._scheduler = optimizer, scheduler
        self._known, self._interval, self._framework = known, interval, framework
        self._strict, self._rules = strict, rules
        self._lrs: list[tuple[float, ...]] = []
        self._every = 1
        per_epoch = known.get("steps_per_epoch")
        self._per_epoch = float(per_epoch) if isinstance(per_epoch, int | float) and per_epoch else None
        self._next = int(1.1 * self._per_epoch) + 2 if self._per_epoch else FIRST_LOOK
        self._not_before = 0.0
        self._hook = optimizer.register_step_pre_hook(self._before_update)
        self.check_plan()

    def _before_update(self, optimizer: Any, args: object, kwargs: object) -> None:
        """Called by torch at the start of `optimizer.step()`: the LR in the groups is the one this update uses."""
        if self.updates % self._every == 0:
            self._lrs.append(tuple([group["lr"] for group in optimizer.param_groups]))
            if len(self._lrs) >= MAX_POINTS:
                del self._lrs[1::2]
                self._every *= 2
        self.updates += 1
        if self.updates >= self._next and perf_counter() >= self._not_before:
            self.look()

    def check_plan(self) -> None:
        """Play the schedule the scheduler states to the planned end, and ask the rules what they think of that."""
        total = self._known.get("max_steps")
        schedule = self._planned()
        if schedule is None or not isinstance(total, int | float) or total < 2:
            return
        steps = np.unique(np.linspace(0, int(total) - 1, min(int(total), PLAN_POINTS)).round())
        lrs = schedule.lr_at(steps)[:, None]
        self._ask(live_run(steps, lrs, ["planned"], self._known, None, self._framework), "as the training is set up: ")

    def _planned(self) -> Schedule | None:
        """The scheduler's own schedule over updates; None where its state or its interval does not tell."""
        if self._scheduler is None or self._interval is None or not hasattr(self._scheduler, "state_dict"):
            return None
        state = self._checkpoint().schedulers[0]
        schedule = stated_whole(state) if state.family != "LambdaLR" else None
        if schedule is None or self._interval == "update":
            return schedule
        return Stepped(schedule, self._per_epoch, "epoch") if self._per_epoch else None

    def look(self) -> list[Finding]:
        """Ask the rules about everything recorded so far; the findings that are new."""
        begun = perf_counter()
        new: list[Finding] = []
        if self._lrs:
            steps, lrs = self._recorded()
            names = ["lr"] if lrs.shape[1] == 1 else [f"pg{index}" for index in range(lrs.shape[1])]
            run = live_run(steps, lrs, names, self._known, self._checkpoint(), self._framework)
            new = self._ask(run, "")
        spent = perf_counter() - begun
        self._next = int(self.updates * GROWTH) + 1
        self._not_before = perf_counter() + spent / SHARE_OF_TIME
        return new

    def _recorded(self) -> tuple[FloatArray, FloatArray]:
        groups = min(len(self._lrs[0]), len(self._lrs[-1]))  # one that was added later has no history to judge
        lrs = [[float(value) for value in row[:groups]] for row in self._lrs]  # a capturable optimizer's are tensors
        return np.arange(len(lrs), dtype=np.float64) * self._every, np.asarray(lrs, dtype=np.float64)

    def _checkpoint(self) -> Checkpoint:
        epoch = self.updates // self._per_epoch if self._per_epoch else None
        scheduler = self._scheduler if hasattr(self._scheduler, "state_dict") else None
        return live_checkpoint(self._optimizer, scheduler, self.updates, epoch)

    def _ask(self, run: Run, prefix: str) -> list[Finding]:
        trajectory = reconstruct(run)
        evidence = Evidence(run, trajectory, identify(trajectory, run.checkpoints))
        early = self._per_epoch is None and self._hook is not None
        rules = [rule for rule in self._rules if not (early and rule.code in _NEEDS_EPOCHS)]
        applied = apply_rules(rules, evidence, _LIVE_OPTIONS)
        told = {finding.code for finding in self.findings}
        new = [
            finding
            for finding in applied.findings
            if finding.suppressed_by is None and finding.severity != "info" and finding.code not in told
        ]
        self.findings += new
        for finding in new:
            self._tell(finding, prefix)
        return new

    def _tell(self, finding: Finding, prefix: str) -> None:
        cure = f" Fix: {finding.remedy.summary}" if finding.remedy is not None else ""
        if self._strict and finding.severity == "error":
            raise ScheduleFaultError(
                f"{prefix.capitalize()}{finding.code} {finding.name}.",
                where=f"update {self.updates}",
                why=finding.message,
                hint=finding.remedy.summary if finding.remedy is not None else None,
            )
        message = f"{finding.code} {finding.name} ({prefix}update {self.updates}): {finding.message}{cure}"
        warnings.warn(message, ScheduleWarning, stacklevel=2)

    def close(self) -> None:
        """Look a last time and let go of the optimizer."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
            self.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        elif self._hook is not None:
            self._hook.remove()
            self._hook = None


def guard(
    optimizer: Any,
    scheduler: Any = None,
    *,
    total_steps: int | None = None,
    steps_per_epoch: int | None = None,
    interval: Literal["update", "epoch"] | None = None,
    batch_size: int | None = None,
    model: str | None = None,
    framework: str | None = None,
    strict: bool = False,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Guard:
    """Watch the learning rate that `optimizer` really uses, from now on.

    `total_steps` is the planned number of optimizer updates, `steps_per_epoch` that of one epoch, `interval` how often
    the loop calls `scheduler.step()`: with the three of them the plan is checked before the first update. `batch_size`
    (examples an update) and `model` (a name) let more rules speak. A fault is told by `ScheduleWarning`; with `strict`
    an error raises `ScheduleFaultError` instead. `select` and `ignore` take rule codes as the command line does.

    The optimizer is torch's (2.0 or newer: it needs `register_step_pre_hook`); the loop stays as it is:

        watch = lrdoctor.guard(optimizer, scheduler, total_steps=epochs * len(loader), steps_per_epoch=len(loader))
    """
    known: dict[str, Scalar] = {
        "max_steps": total_steps,
        "steps_per_epoch": steps_per_epoch,
        "batch_size": batch_size,
        "model": model,
        "optimizer": type(optimizer).__name__,
    }
    rules = select_rules(load_rules((rules_dir(),)), select, ignore)
    known = {name: value for name, value in known.items() if value is not None}
    return Guard(
        optimizer, scheduler, known=known, interval=interval, framework=framework, strict=strict, rules=rules
    )

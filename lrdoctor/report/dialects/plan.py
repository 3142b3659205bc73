"""What every dialect has to say: the schedule in ticks, how often it ticks, and the run around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lrdoctor.engine.optimizers import optimizer_of
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.report.source_text import wrapped
from lrdoctor.resume.torch_state import base_lr
from lrdoctor.schedules import Overlaid, RangeTest, Sequence, Stepped, Unknown, Warmup

_TORCH_OPTIMIZERS = ("AdamW", "NAdam", "RAdam", "Adamax", "Adam", "RMSprop", "Adagrad", "Adadelta", "SGD")


class CannotSayError(Exception):
    """The framework has no words for this schedule; the message, a clause, says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`whole` is the schedule in ticks, `main` and `warmup` its parts; a tick is an update or an epoch.

    `updates` is the planned length of the run, `per_epoch` the updates of an epoch where known. `optimizer` is the name
    of torch's class, `named` whether the run's files say so.
    """

    whole: Schedule
    stepped: Unit
    updates: int
    per_epoch: float | None = None
    optimizer: str = "AdamW"
    named: bool = False

    @property
    def main(self) -> Schedule:
        return self.whole.main if isinstance(self.whole, Warmup | Overlaid) else self.whole

    @property
    def warmup(self) -> Warmup | None:
        return self.whole if isinstance(self.whole, Warmup) else None

    @property
    def overlaid(self) -> Overlaid | None:
        """A warmup under which the main schedule's clock already runs."""
        return self.whole if isinstance(self.whole, Overlaid) else None

    @property
    def warmup_ticks(self) -> float:
        return self.warmup.steps if self.warmup else 0.0

    @property
    def ticks(self) -> int:
        """The length of the run in ticks."""
        per_tick = self.per_epoch if self.stepped == "epoch" and self.per_epoch else 1.0
        return round(self.updates / per_tick)


def plan_of(schedule: Schedule, diagnosis: Diagnosis) -> Plan:
    """`CannotSayError` for schedules in a row, which are no single setting of any framework."""
    trajectory = diagnosis.trajectory
    per_epoch = trajectory.steps_per_epoch
    unit: Unit = "epoch" if trajectory.step_unit == "epoch" else "update"
    if isinstance(schedule, Stepped):
        if schedule.updates_per_tick > 1.0:
            unit, per_epoch = "epoch", schedule.updates_per_tick
        schedule = schedule.schedule
    if isinstance(schedule, Warmup) and isinstance(schedule.main, Stepped) and schedule.main.updates_per_tick == 1.0:
        schedule = Warmup(schedule.main.schedule, schedule.steps, schedule.start_factor, schedule.kind)
    main = schedule.main if isinstance(schedule, Warmup | Overlaid) else schedule
    if isinstance(main, Sequence | Stepped | Unknown | Warmup | Overlaid | RangeTest):
        raise CannotSayError("it is several schedules in a row")
    updates = trajectory.planned_steps or trajectory.steps
    if trajectory.step_unit == "epoch":
        per_epoch = 1.0
    return Plan(schedule, unit, updates, per_epoch, *torch_class(optimizer_of(diagnosis.run)))


def torch_class(name: str | None) -> tuple[str, bool]:
    """torch's class of that name ("adamw_torch_fused" is AdamW), and whether the name is one of torch's."""
    plain = re.sub(r"[^a-z]", "", (name or "").lower())
    found = next((known for known in _TORCH_OPTIMIZERS if known.lower() in plain), None)
    return found or "AdamW", found is not None


def peak(plan: Plan) -> str:
    """The learning rate the optimizer is built with."""
    return f"{base_lr(plan.whole):.10g}"


def optimizer_line(plan: Plan, parameters: str = "model.parameters()") -> str:
    """The optimizer's construction; its other arguments are the user's."""
    keep = "and your other arguments" if plan.named else "or your own optimizer, with this lr"
    return f"optimizer = torch.optim.{plan.optimizer}({parameters}, lr={peak(plan)})  # {keep}"


def torch_lines(plan: Plan) -> str:
    """Optimizer and scheduler in torch's own words, and where to call `step()`."""
    call = "after every optimizer.step()" if plan.stepped == "update" else "once at the end of every epoch"
    return f"{optimizer_line(plan)}\n{scheduler_line(plan)}\n# scheduler.step() {call}"


def scheduler_line(plan: Plan) -> str:
    """The scheduler's construction; torch has no words for a warmup under which the main clock runs."""
    if plan.overlaid is not None:
        raise CannotSayError("torch's SequentialLR starts the main schedule at the end of the warmup")
    return f"scheduler = {wrapped(plan.whole.torch_code())}"


def whole_number(value: float, what: str) -> int:
    """`value` as an integer; `CannotSayError` where the framework would have to round it."""
    if abs(value - round(value)) > 1e-9:
        raise CannotSayError(f"{what} would have to be {value:g}, and only whole numbers can be given")
    return round(value)


def indented(text: str, spaces: int = 4) -> str:
    return "\n".join(" " * spaces + line if line else line for line in text.split("\n"))

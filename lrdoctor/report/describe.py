"""A schedule object taken apart into the contract's fields: family, stepped, params, warmup."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.model.trajectory import StepUnit
from lrdoctor.schedules import Held, Product, Sequence, Stepped, Warmup


@dataclass(frozen=True, slots=True)
class Description:
    """`main` is the family without warmup and clock; `warmup` the ramp in front of it; `stepped` the unit of a tick.

    Where schedules follow one another, `first_step` is where the last of them, the one described, begins.
    """

    main: Schedule
    stepped: Unit | None
    warmup: Warmup | None = None
    first_step: float = 0.0

    def fields(self) -> dict[str, object]:
        """The contract's `schedule` of a fix."""
        ramp = self.warmup
        warmup = None if ramp is None else {"kind": ramp.kind, "steps": ramp.steps, "start_factor": ramp.start_factor}
        return {
            "family": self.main.family,
            "stepped": self.stepped,
            "params": self.main.params(),
            "warmup": warmup,
            "first_step": self.first_step,
        }


def describe(schedule: Schedule, step_unit: StepUnit) -> Description:
    """The parts of a composition over trajectory steps; of several in a row the one in force at the end."""
    stepped: Unit | None = "update" if step_unit == "update" else "epoch" if step_unit == "epoch" else None
    warmup: Warmup | None = None
    first_step = 0.0
    while True:
        match schedule:
            case Sequence(parts=parts, milestones=milestones):
                first_step += milestones[-1] if milestones else 0.0
                schedule, warmup = parts[-1], None
            case Stepped(schedule=inner, unit=unit):
                schedule, stepped = inner, unit
            case Warmup(main=inner) as whole:
                schedule, warmup = inner, whole
            case Product(main=inner):
                schedule = inner
            case Held(schedule=inner):
                schedule, stepped = inner, "epoch"
            case _:
                return Description(schedule, stepped, warmup, first_step)

"""Which schedule explains the executed trajectory."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.schedule import Schedule, Unit


@dataclass(frozen=True, slots=True)
class WarmupShape:
    """The ramp in front of a schedule: `steps` ticks from `start_factor` x peak. `kind`: see `schedules.ramps`.

    `overlaid` where it stands in for the schedule's own first ticks instead of going before them. `unit` is what
    `steps` counts where that is not the schedule's tick: "update" beside a schedule stepped per epoch.
    """

    kind: str
    steps: float
    start_factor: float
    overlaid: bool = False
    unit: Unit | None = None


SURE = 0.5
"""A reading with less confidence than this is a guess: nothing is called healthy on its strength."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One schedule over one stretch of one parameter group.

    `schedule` is the main schedule without its warmup (canonical reading of the contract), in ticks; `whole` is the
    complete composition as a function of the trajectory's step, the one to evaluate and draw; `stepped` the unit of one
    tick or None where it cannot be told; `steps_per_tick` how many trajectory steps pass per tick (1 for "update", N
    for "epoch"). `shift` is the constant lead of the logged value in ticks (1: logged after `scheduler.step()`).
    `fit_error` is max |fitted - logged| / peak; `confidence` in [0, 1]; `exact` True where the closed form agrees with
    every point to the rounding of the log. `runner_up` is the next best family and `evidence` the decimal logarithm of
    the odds against it (None without one). `assumed` lists what was taken on trust ("div_factor = 25").
    """

    schedule: Schedule
    whole: Schedule
    first_step: float
    last_step: float
    stepped: Unit | None
    steps_per_tick: float
    fit_error: float
    confidence: float
    exact: bool
    warmup: WarmupShape | None = None
    shift: float = 0.0
    runner_up: str | None = None
    evidence: float | None = None
    assumed: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return self.schedule.family

    @property
    def sure(self) -> bool:
        """Whether a family was recognised with confidence."""
        return self.family != "Unknown" and self.confidence >= SURE

    @property
    def peak_lr(self) -> float:
        return self.schedule.peak_lr

    @property
    def horizon_steps(self) -> float | None:
        """The planned length in trajectory steps, warmup included; None where the schedule has no end."""
        horizon = self.schedule.horizon
        if horizon is None:
            return None
        return horizon * self.steps_per_tick + (
            0.0 if self.warmup is None or self.warmup.overlaid else self.warmup_span
        )

    @property
    def warmup_span(self) -> float:
        """Trajectory steps of the warmup; 0 without one."""
        if self.warmup is None:
            return 0.0
        return self.warmup.steps * (self.steps_per_tick if self.warmup.unit is None else 1.0)


@dataclass(frozen=True, slots=True)
class GroupIdentification:
    """The reading of one parameter group: `fits` in time order, one per stretch with a schedule of its own.

    The last fit is the one in force at the end. Its family is "Unknown" where nothing explains the trajectory.
    """

    name: str
    fits: tuple[Fit, ...]

    @property
    def fit(self) -> Fit:
        return self.fits[-1]


@dataclass(frozen=True, slots=True)
class Identification:
    """The reading of a run: one entry a parameter group, in the trajectory's order. Empty where no LR was logged."""

    groups: tuple[GroupIdentification, ...] = ()

    @property
    def lead(self) -> GroupIdentification | None:
        return self.groups[0] if self.groups else None

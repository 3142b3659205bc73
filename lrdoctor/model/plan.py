"""What a training config will make its framework do with the learning rate. Every value says where it comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from lrdoctor.model.count import UNKNOWN, Count
from lrdoctor.model.finding import Severity
from lrdoctor.model.place import Place
from lrdoctor.model.schedule import Schedule

T = TypeVar("T")
PlanUnit = Literal["update", "epoch"]
OriginKind = Literal["explicit", "default", "interpolated", "derived", "given", "assumed"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: a place in a file, a default of a framework's version, a computation, the user.

    `key` is the setting's full name as the framework writes it; `note` says whose default or which assumption it is.
    """

    kind: OriginKind
    key: str = ""
    place: Place | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and its origin."""

    value: T
    origin: Origin

    @property
    def key(self) -> str:
        return self.origin.key

    @property
    def place(self) -> Place | None:
        return self.origin.place

    @property
    def explicit(self) -> bool:
        return self.origin.place is not None


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples per update = per_device x accumulation x world, or `whole` where the config gives that itself."""

    per_device: Setting[float] | None = None
    accumulation: Setting[float] | None = None
    world: Count = UNKNOWN
    whole: Setting[float] | None = None

    @property
    def total(self) -> Count:
        if self.whole is not None:
            return Count.exactly(self.whole.value)
        if self.per_device is None:
            return UNKNOWN
        accumulation = self.accumulation.value if self.accumulation is not None else 1.0
        return self.world.times(self.per_device.value * accumulation)


@dataclass(frozen=True, slots=True)
class WarmupPlan:
    """The ramp: `asked` as configured (None where the framework adds it unasked), `steps` what comes of it.

    `steps` is in the plan's unit; `fraction` is the share of the run where the ramp follows the run's length.
    """

    steps: Count
    asked: Setting[Any] | None = None
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key the framework reads and does nothing with, or does not know: why, what holds instead, and the cure.

    `about`: "unused" (no effect), "override" (another value is used as the learning rate), "removed" (fails to start).
    """

    setting: Setting[Any]
    why: str
    cure: str
    about: Literal["unused", "override", "removed"] = "unused"
    instead: Setting[Any] | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Misread:
    """A value that is not what it looks like: the framework's loader makes something else of it, or refuses it.

    `about`: "lr" a learning rate, "unit" a share where a number of steps belongs or the reverse, "refused" what the
    framework stops at with an error, "value" anything else.
    """

    setting: Setting[Any]
    why: str
    cure: str
    about: Literal["lr", "unit", "refused", "value"] = "value"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The schedule a config will produce, over steps of `unit`, as far as the config and the given sizes tell.

    `make(total)` builds it for a run of that many steps; `unmade` says why there is nothing to build (a scheduler that
    reacts to a metric, a schedule inside the model's code). `lr` is the peak. `facts` holds further settings by our own
    names (model, finetune, adapter, patience, min_lr, milestones, beta2...). `horizon` is a schedule length configured
    apart from the run's. `reads` are the other files the plan was made from.
    """

    path: str
    framework: str
    place: Place
    version: str | None = None
    unit: PlanUnit = "update"
    optimizer: Setting[str] | None = None
    scheduler: Setting[str] | None = None
    lr: Setting[float] | None = None
    batch: Batch = Batch()
    total: Count = UNKNOWN
    length: Setting[float] | None = None
    updates_per_epoch: Count = UNKNOWN
    family: str = "Unknown"
    make: Callable[[float], Schedule] | None = None
    unmade: str = ""
    warmup: WarmupPlan | None = None
    horizon: Setting[float] | None = None
    facts: Mapping[str, Setting[Any]] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()
    misread: tuple[Misread, ...] = ()
    assumptions: tuple[tuple[str, str], ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def schedule(self) -> Schedule | None:
        """The schedule, where the length it depends on is known."""
        total = self.total.value
        return self.built(total) if total is not None else None

    def built(self, total: float) -> Schedule | None:
        """The schedule of a run of `total` steps; None where there is none to build, or its numbers cannot be."""
        if self.make is None or not math.isfinite(total) or total < 1:
            return None
        try:
            return self.make(total)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            return None

    def fact(self, name: str) -> Any:
        """The value of a further setting, or None."""
        setting = self.facts.get(name)
        return None if setting is None else setting.value

    def whereabouts(self, *settings: Setting[Any] | None) -> Setting[Any] | None:
        """The first of `settings` that stands in a file."""
        return next((item for item in settings if item is not None and item.explicit), None)


@dataclass(frozen=True, slots=True)
class Broken:
    """A training config that cannot be read: what is wrong and where."""

    path: str
    problem: str
    place: Place
    framework: str | None = None
    cure: str = "repair the file"

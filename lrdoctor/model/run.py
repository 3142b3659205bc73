"""What was read from disk: one training run, its series, checkpoints and side files. No interpretation yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lrdoctor.model.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader has to say about a file: a truncated tail, a skipped line, an LFS pointer.

    `at` is a position inside the file ("line 812", "byte 4032") or None for the file as a whole.
    """

    path: str
    message: str
    at: str | None = None

    def __str__(self) -> str:
        return f"{self.message} at {self.at}" if self.at else self.message


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One tag of one file, in file order, exactly as written (duplicates and steps going back included).

    `values` is (T,). `axes` maps the name of each candidate step axis found beside the values ("step", "epoch",
    "iter", "_step"...) to a (T,) array, NaN where a row lacks it; it may be empty (then the row order is all there is).
    `origin` is (T,): the line (1-based) or byte offset each point came from, as `origin_unit` says.
    `session` is (T,) or None: the index of the writing process where the file itself tells sessions apart.
    """

    path: str
    tag: str
    values: FloatArray
    axes: Mapping[str, FloatArray]
    origin: IntArray
    kind: str
    origin_unit: str = "line"
    wall_time: FloatArray | None = None
    session: IntArray | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Hint:
    """One fact a side file or a checkpoint states about the run, under lrdoctor's name for it.

    Names: optimizer, lr, batch_size (examples per optimizer update where the file says so, else per device, see
    `detail`), world_size, grad_accum, epochs, max_steps, steps_per_epoch, warmup_steps, warmup_ratio, warmup_epochs,
    weight_decay, beta2, dataset_size, scheduler, framework, framework_version, model, task, precision, max_tokens,
    finetune (bool), min_lr.
    `key` is the key as the file spells it; `detail` any qualification ("per device", "fraction").
    """

    name: str
    value: Scalar
    path: str
    key: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """A scheduler's `state_dict`, recognised by its keys (the class name is not stored; torch 2.13, table A).

    `last_epoch` is h, `step_count` is c of knowledge/rules.md; `params` holds torch's argument names (T_max,
    total_steps, milestones as a tuple...), `children` the parts of SequentialLR or ChainedScheduler.
    """

    family: str | None
    last_epoch: float | None
    step_count: int | None
    last_lr: tuple[float, ...] = ()
    base_lrs: tuple[float, ...] = ()
    params: Mapping[str, Scalar | tuple[float, ...]] = field(default_factory=dict)
    children: tuple[SchedulerState, ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """An optimizer's `state_dict` without its tensors.

    `param_groups` keeps the scalar entries of each group (lr, initial_lr, max_lr, momentum, betas as beta1/beta2...).
    `step` is k, the largest `state[*].step`; None where the optimizer keeps none (SGD, Muon). `state_size` counts the
    parameters that have state; `param_count` those listed in the groups. `name` is a guess from the state's keys
    ("Adam-like", "SGD") or the class name where a file states it.
    """

    name: str | None
    param_groups: tuple[Mapping[str, Scalar], ...]
    step: int | None
    state_size: int
    param_count: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one checkpoint (a file, or a folder of files saved together) holds.

    `recomputes_schedule` names the framework that keeps no scheduler state by design (timm, Ultralytics, torchtune,
    fairseq), else None. `global_step` and `epoch` are the framework's own counters, g and e.
    """

    path: str
    kind: str
    model: bool
    optimizer: OptimizerState | None
    schedulers: tuple[SchedulerState, ...]
    global_step: int | None = None
    epoch: float | None = None
    framework: str | None = None
    recomputes_schedule: str | None = None
    max_steps: int | None = None
    notes: tuple[Note, ...] = ()

    @property
    def scheduler(self) -> SchedulerState | None:
        """The first scheduler's state: the one that matters where there is only one optimizer."""
        return self.schedulers[0] if self.schedulers else None


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was opened for this run. `points` counts the scalar points read from it, over all tags."""

    path: str
    kind: str
    points: int
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training run as found on disk. `path` is its folder, or its file where a folder holds several runs."""

    path: str
    series: tuple[Series, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    hints: tuple[Hint, ...] = ()
    sources: tuple[Source, ...] = ()
    framework: str | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of all series, in the order they were read, each once."""
        return tuple(dict.fromkeys(series.tag for series in self.series))

    def frame(self, *tags: str) -> pd.DataFrame:
        """Every point that was read, or those of some tags, as a tidy table: a row a point, in file order.

        Columns: `tag`; `value`; one per step axis under its name in the file ("step", "epoch", "_step"...), NaN where a
        point has no such counter; `wall_time` in seconds since 1970, NaN where it was not logged; `session`, the
        writing process where the file itself tells them apart; `path`, `origin` and `origin_unit`, where it was read.
        """
        from lrdoctor.model.frame import frame_of

        return frame_of(self, tags)

    def hint(self, name: str) -> Hint | None:
        """The first hint of that name, or None."""
        return next((hint for hint in self.hints if hint.name == name), None)

    def declared(self, name: str) -> Scalar:
        """The value of the first hint of that name, or None."""
        hint = self.hint(name)
        return hint.value if hint else None

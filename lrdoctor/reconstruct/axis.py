"""Which counter is the optimizer step, and how the logged counter becomes a 0-based step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.run import Run, Series
from lrdoctor.model.trajectory import Choice, StepUnit
from lrdoctor.reconstruct.frameworks import counts_from_one, is_framework, is_reinforcement, number_hint
from lrdoctor.reconstruct.names import is_eval, words
from lrdoctor.reconstruct.recording import EVENTS, Recording
from lrdoctor.reconstruct.thousandths import Thousandths, updates_of_thousandths

_MOSTLY = 0.5  # share of the LR's points that must carry a counter
_UPDATES = (
    "trainer/global_step", "train/global_step", "global_step", "global_steps", "global step", "globalstep",
    "current_steps", "num_updates", "updates", "update", "step", "steps", "iteration", "iterations", "iter", "iters",
    "it", "n_iter", "training_step", "train_step", "trainstep", "num_steps", "batch_idx",
)  # fmt: skip
_ENV_STEPS = ("total_timesteps", "timesteps", "timestep", "num_env_steps", "env_steps")
_SAMPLES = ("consumed_samples", "consumed samples", "samples")
_EPOCHS = ("epoch", "epochs")
_LAST_RESORT = ("_step", "n_updates", "micro_step", "tokens", "consumed_tokens", "num_tokens")


class Found(NamedTuple):
    """An axis of the lead series: its spelling, what it counts, and why it was taken."""

    name: str | None
    unit: StepUnit
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """`steps_of(series)` is (T,): 0-based steps in `unit`, NaN where a point has no counter.

    `steps_per_epoch` is N where the axis itself tells it (in-epoch counters).
    """

    unit: StepUnit
    name: str | None
    offset: float
    steps_of: Callable[[Series], FloatArray] = field(repr=False)
    steps_per_epoch: float | None = None
    choices: tuple[Choice, ...] = ()


def choose_axis(run: Run, record: Recording, lead: str, step_tag: str | None = None) -> Axis:
    """The step axis of a recording, decided by its lead series."""
    pieces = record.of_tag(lead)
    if step_tag is not None and (asked := _asked_for(run, record, pieces, step_tag)) is not None:
        return asked
    found = _best(run, record, lead, pieces)
    rejected = tuple(sorted({name for one in pieces for name in one.axes if name != found.name}))
    choice = Choice("step axis", found.name or "row order", found.why, rejected)
    if found.unit == "update" and found.name is not None:
        return _updates(run, record, pieces, found.name, choice)
    return _plain(run, pieces, found, choice)


def _asked_for(run: Run, record: Recording, pieces: Sequence[Series], step_tag: str) -> Axis | None:
    if any(step_tag in one.axes for one in pieces):
        unit = _unit_of(step_tag)
        found = Found(step_tag, "update" if unit == "unknown" else unit, "named on the command line")
        return _plain(run, pieces, found, Choice("step axis", step_tag, found.why))
    columns = {one.path: one for one in record.of_tag(step_tag)}
    if not columns:
        return None

    def steps_of(series: Series) -> FloatArray:
        column = columns.get(series.path)
        if column is None:
            return np.full(len(series), np.nan)
        place = np.searchsorted(column.origin, series.origin).clip(max=len(column) - 1)
        return np.where(column.origin[place] == series.origin, column.values[place], np.nan)

    offset = _first_offset(np.concatenate([steps_of(one) for one in pieces]))
    choice = Choice("step axis", step_tag, "named on the command line")
    return Axis("update", step_tag, offset, lambda series: steps_of(series) - offset, None, (choice,))


def _unit_of(name: str) -> StepUnit:
    last = name.strip().lower().rsplit("/", 1)[-1]
    if last in _ENV_STEPS:
        return "env-step"
    if last in _SAMPLES:
        return "sample"
    if last in _EPOCHS:
        return "epoch"
    return "update" if last in _UPDATES or name.strip().lower() in _UPDATES else "unknown"


def _best(run: Run, record: Recording, lead: str, pieces: Sequence[Series]) -> Found:
    usable = [name for name in dict.fromkeys(n for one in pieces for n in one.axes) if _carried(pieces, name)]
    for wanted in (_ENV_STEPS, _UPDATES, _SAMPLES, _EPOCHS, _LAST_RESORT):
        name = _first_of(usable, wanted)
        if name is not None:
            return _understood(run, record, lead, name, pieces)
    if usable:
        return Found(usable[0], "unknown", "the only counter beside the learning rate; what it counts cannot be told")
    return Found(None, "row", "no counter was logged beside the learning rate: its order in the file is all there is")


def _carried(pieces: Sequence[Series], name: str) -> bool:
    """Whether most points have this counter, and it moves."""
    axis = np.concatenate([one.axes.get(name, np.full(len(one), np.nan)) for one in pieces])
    known = axis[np.isfinite(axis)]
    return len(known) >= _MOSTLY * len(axis) and (len(axis) < 3 or bool((known != known[0]).any()))


def _first_of(usable: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The whole name decides first, then the part after the last slash."""
    for candidate in wanted:
        for name in usable:
            if name.strip().lower() == candidate:
                return name
    for candidate in wanted:
        for name in usable:
            if name.strip().lower().rsplit("/", 1)[-1] == candidate:
                return name
    return None


def _understood(run: Run, record: Recording, lead: str, name: str, pieces: Sequence[Series]) -> Found:
    """What a counter of this name counts here: event files call everything "step"."""
    unit = _unit_of(name)
    if unit in ("env-step", "sample", "epoch"):
        return Found(name, unit, _WHY[unit])
    if name.lower() == "_step":
        return Found(name, "unknown", "counts calls of the logger, not surely updates; nothing better was logged")
    if unit == "unknown":
        return Found(name, "unknown", "what it counts cannot be told")
    if is_reinforcement(run) or lead.startswith(("Policy/", "charts/")):
        return Found(name, "env-step", "this kind of log counts environment steps")
    if record.kind == EVENTS and _counts_samples(lead):
        return Found(name, "sample", "its name says that it is logged against training samples")
    if record.kind == EVENTS and (reason := _counts_epochs(run, record, lead, pieces, name)):
        return Found(name, "epoch", reason)
    return Found(name, "update", "of the counters beside the learning rate the one that counts optimizer updates")


_WHY = {
    "env-step": "counts environment steps; optimizer updates were not logged",
    "sample": "counts training samples; optimizer updates were not logged",
    "epoch": "only the epoch was logged beside the learning rate",
}


def _counts_samples(lead: str) -> bool:
    return "/Samples/" in lead or lead.endswith("vs samples")


def _counts_epochs(run: Run, record: Recording, lead: str, pieces: Sequence[Series], name: str) -> str | None:
    found = words(lead)
    if is_framework(run, "ultralytics", "yolov5", "yolov8") or lead.startswith(("x/lr", "lr/pg")):
        return "Ultralytics logs the learning rate once an epoch, with the epoch as its step"
    if found[0] == "epoch":
        return "Keras logs the learning rate once an epoch, with the epoch as its step"
    steps = np.concatenate([one.axes[name] for one in pieces])
    planned = number_hint(run, "epochs")
    counted = len(steps) > 2 and bool((np.diff(steps) == 1).all()) and steps[0] in (0, 1)
    if counted and planned is not None and len(steps) == planned and number_hint(run, "max_steps") is None:
        return f"it runs to {len(steps)}, the declared number of epochs, in steps of one"
    return None


def _plain(run: Run, pieces: Sequence[Series], found: Found, choice: Choice) -> Axis:
    """An axis that needs no more than its offset removed."""
    name = found.name
    if name is None:
        return Axis("row", None, 0.0, _row_numbers, None, (choice,))
    logged = np.concatenate([one.axes.get(name, np.full(len(one), np.nan)) for one in pieces])
    offset = _offset(run, logged, found.unit)
    batch = number_hint(run, "batch_size")
    unit, scale = found.unit, 1.0
    choices = [choice]
    if unit == "sample" and batch is not None:
        unit, scale = "update", 1.0 / batch
        choices.append(Choice("samples to updates", f"divided by {batch:g}", "the declared batch size"))
    if offset:
        choices.append(_shifted(offset))

    def steps_of(series: Series) -> FloatArray:
        return (series.axes.get(name, np.full(len(series), np.nan)) - offset) * scale

    return Axis(unit, name, offset, steps_of, None, tuple(choices))


def _row_numbers(series: Series) -> FloatArray:
    return np.arange(len(series), dtype=np.float64)


def _updates(run: Run, record: Recording, pieces: Sequence[Series], name: str, choice: Choice) -> Axis:
    """Updates, unless the counter proves to restart each epoch or to count thousandths of an epoch."""
    epoch = _first_of([n for one in pieces for n in one.axes], _EPOCHS)
    if epoch is not None and (inside := _inside_epoch(pieces, name, epoch)):
        declared = number_hint(run, "steps_per_epoch")
        return _from_inside_epoch(name, epoch, inside, pieces, choice, declared)
    thousandths = updates_of_thousandths(run, record, pieces, name) if record.kind == EVENTS else None
    if thousandths is not None:
        return _from_thousandths(name, thousandths, choice)
    return _plain(run, pieces, Found(name, "update", choice.why), choice)


def _inside_epoch(pieces: Sequence[Series], name: str, epoch: str) -> float | None:
    """N where the counter starts over in (nearly) each new epoch, else None."""
    resets, turns, largest = 0, 0, 0.0
    for one in pieces:
        if name not in one.axes or epoch not in one.axes:
            continue
        step, number = one.axes[name], one.axes[epoch]
        turned = np.diff(number) > 0
        turns += int(turned.sum())
        resets += int((np.diff(step)[turned] < 0).sum())
        largest = max(largest, float(np.nanmax(step)))
    return largest if turns and resets >= 0.8 * turns and largest > 0 else None


def _from_inside_epoch(
    name: str, epoch: str, largest: float, pieces: Sequence[Series], choice: Choice, declared: float | None
) -> Axis:
    """Step (e - first epoch) * N + i; N is declared, or the largest i was the last of its epoch.

    Points that go back within an epoch are evaluations, with their own counter.
    """
    first_epoch = 1.0 if min(float(np.nanmin(one.axes[epoch])) for one in pieces) >= 1.0 else 0.0
    from_one = 0.0 if min(float(np.nanmin(one.axes[name])) for one in pieces) == 0.0 else 1.0
    per_epoch = largest + 1.0 - from_one
    if declared is not None and per_epoch < declared <= 2 * per_epoch:  # the last steps of each epoch went unlogged
        per_epoch = declared

    def steps_of(series: Series) -> FloatArray:
        inside = series.axes.get(name, np.full(len(series), np.nan))
        number = series.axes.get(epoch, np.full(len(series), np.nan))
        steps = (number - first_epoch) * per_epoch + inside - from_one
        return np.where(_goes_back_inside(inside, number), np.nan, steps)

    why = f"{name} starts over in each epoch: step = epoch x {per_epoch:g} + {name}"
    found = Choice("step axis", f"{epoch} and {name}", why, choice.rejected)
    return Axis("update", name, from_one, steps_of, per_epoch, (found,))


def _goes_back_inside(inside: FloatArray, number: FloatArray) -> np.ndarray:
    back = np.zeros(len(inside), dtype=bool)
    back[1:] = (np.diff(inside) < 0) & (np.diff(number) == 0)
    return back


def _from_thousandths(name: str, found: Thousandths, choice: Choice) -> Axis:
    per_epoch = found.per_epoch
    unit: StepUnit = "epoch" if per_epoch == 1 else "update"

    def steps_of(series: Series) -> FloatArray:
        logged = series.axes.get(name, np.full(len(series), np.nan))
        if float(np.nanmax(logged, initial=0.0)) < 1000 <= found.last:  # this tag counts whole epochs
            return (logged + 1.0) * per_epoch - 1.0
        return np.round(logged * per_epoch / 1000.0)

    why = f"counts thousandths of an epoch, {per_epoch} logged points to each: {found.why}"
    made = Choice("step axis", name, why, choice.rejected)
    return Axis(unit, name, 0.0, steps_of, float(per_epoch) if per_epoch > 1 else None, (made,))


def _offset(run: Run, logged: FloatArray, unit: StepUnit) -> float:
    """What to subtract so that the first update (or epoch) is 0.

    A log that shows its first update decides for itself; one that starts later counts as its framework does. HF
    Transformers writes under step k the LR of the k-th update or of the one after, by version: a lead of one update
    is left for the identification to find.
    """
    known = logged[np.isfinite(logged)]
    if not len(known) or unit in ("env-step", "sample", "row", "unknown"):
        return 0.0
    if unit == "epoch":
        return 1.0 if known.min() == 1.0 and bool((known == np.round(known)).all()) else 0.0
    if known.min() >= 1.0 and counts_from_one(run):
        return 1.0
    return _first_offset(known)


def _first_offset(logged: FloatArray) -> float:
    """1 where the log starts at 1, or at its own interval with all steps multiples of it (10, 20, 30...), else 0."""
    known = logged[np.isfinite(logged)]
    if not len(known) or known.min() < 1.0:
        return 0.0
    first = float(known.min())
    ahead = np.diff(np.unique(known))
    if first == 1.0:
        return 1.0
    if not len(ahead):
        return 0.0
    interval = float(np.median(ahead))
    return 1.0 if first == interval and bool((known % interval == 0).all()) else 0.0


def _shifted(offset: float) -> Choice:
    return Choice("first step", f"logged {offset:g} is step 0", "the log counts from one")


def on_axis(axis: Axis, series: Series) -> FloatArray:
    """Steps of a series beside the lead; a validation counter that runs on its own (`val_loss_step`) has none."""
    if is_eval(series.tag) and series.tag.endswith("_step") and series.kind == EVENTS:
        return np.full(len(series), np.nan)
    return axis.steps_of(series)

"""Which series is the learning rate, and in which of several recordings of it to believe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.model.run import Run, Series
from lrdoctor.model.trajectory import Choice
from lrdoctor.reconstruct.asked import is_asked_for, near
from lrdoctor.reconstruct.names import lr_name, words
from lrdoctor.reconstruct.precision import resolution_of
from lrdoctor.reconstruct.recording import Recording, join, recordings

LARGEST_LR = 1e3  # chosen by us: a series whose typical value is larger counts something else
_SAME_STEPS = 0.8  # share of points that must agree before two recordings count as copies
_SAME_VALUE = 1e-2  # relative; a copy may be rounded to two digits
_TEXT_KINDS = ("text", "tqdm", "log")
_TABLES = "pickle"


@dataclass(frozen=True, slots=True, eq=False)
class LrSource:
    """The recording believed and the LR tags in it, one a parameter group, lead first."""

    recording: Recording
    tags: tuple[str, ...]
    choices: tuple[Choice, ...]


def pick_lr(run: Run, lr_tag: str | None = None) -> LrSource | Choice:
    """The LR of the run; where there is none, the choice that says what was looked for."""
    every = recordings(run)
    named = {record.place: _lr_tags(record, lr_tag) for record in every}
    candidates = [record for record in every if named[record.place]]
    if not candidates:
        return _nothing(every, lr_tag)
    best, choices = _believed(run, candidates, named)
    return _grouped(best, named[best.place], choices, lr_tag)


def _lr_tags(record: Recording, lr_tag: str | None) -> tuple[str, ...]:
    """The LR tags of a recording, ordered by group index; names of a base LR only where there is nothing better."""
    if lr_tag is not None:
        return tuple(tag for tag in record.tags if is_asked_for(tag, lr_tag))
    names = {tag: name for tag in record.tags if (name := lr_name(tag)) and _plausible(record.of_tag(tag))}
    best = {tag: name for tag, name in names.items() if not name.secondary} or names
    families = list(dict.fromkeys(name.family for name in best.values()))
    order = {family: position for position, family in enumerate(families)}
    return tuple(sorted(best, key=lambda tag: (order[best[tag].family], best[tag].index)))


def _plausible(series: Iterable[Series]) -> bool:
    """An LR of a fault (negative, NaN, huge for a while) still counts; its typical size is what must be plausible."""
    values = np.concatenate([one.values for one in series])
    finite = values[np.isfinite(values)]
    return bool(len(finite)) and float(np.median(np.abs(finite))) <= LARGEST_LR


def _grouped(record: Recording, tags: tuple[str, ...], choices: list[Choice], lr_tag: str | None) -> LrSource:
    """The parameter groups of one run: of a table of several runs the first, and no series under two names."""
    first_run, others = _first_table(record, tags)
    if others:
        why = "The file holds several runs side by side; the first is audited."
        choices.append(Choice("run within the file", first_run[0], why, others))
        prefix = first_run[0].rpartition("/")[0] + "/"
        record = replace(record, series=tuple(one for one in record.series if one.tag.startswith(prefix)))
    groups = _without_aliases(record, first_run)
    aliases = tuple(tag for tag in first_run if tag not in groups)
    others = tuple(tag for tag in record.tags if lr_name(tag) and tag not in groups)
    why = "its name says so and its values can be learning rates"
    if len(groups) > 1:
        why = "one series a parameter group; their names say so and their values can be learning rates"
    if lr_tag is not None:
        why = "named on the command line"
    if aliases:
        why += f"; {', '.join(aliases)} repeats it under another name"
    choices.append(Choice("learning rate", ", ".join(groups), why, others))
    return LrSource(record, groups, tuple(choices))


def _first_table(record: Recording, tags: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if record.kind != _TABLES:
        return tags, ()
    prefix = tags[0].rpartition("/")[0]
    first = tuple(tag for tag in tags if tag.rpartition("/")[0] == prefix)
    return first, tuple(tag for tag in tags if tag not in first)


def _without_aliases(record: Recording, tags: tuple[str, ...]) -> tuple[str, ...]:
    """Equal series of one family are groups with equal LRs; equal series of two families are one series twice."""
    kept: list[str] = []
    for tag in tags:
        if not any(_repeats(record, tag, other) for other in kept) and not any(
            _summarises(record, tag, other) for other in tags
        ):
            kept.append(tag)
    return tuple(kept)


def _summarises(record: Recording, tag: str, other: str) -> bool:
    """fairseq logs "lr" as it goes and "train_lr" again at the end of an epoch."""
    if words(tag) != ("train", *words(other)):
        return False
    own, all_along = (sum(len(one) for one in record.of_tag(name)) for name in (tag, other))
    return 2 * own <= all_along


def _repeats(record: Recording, tag: str, other: str) -> bool:
    mine, theirs = lr_name(tag), lr_name(other)
    if mine is None or theirs is None or mine.family == theirs.family or tag.startswith("lr-"):
        return False
    ours, others = _lead_points(record, tag), _lead_points(record, other)
    pairs = zip(ours, others, strict=True)
    return all(len(a) == len(b) and np.allclose(a, b, rtol=1e-6, equal_nan=True) for a, b in pairs)


def _nothing(every: Sequence[Recording], lr_tag: str | None) -> Choice:
    tags = sorted({tag for record in every for tag in record.tags})
    looked = f"a series named {lr_tag!r}" if lr_tag else "a series named like a learning rate (lr, learning_rate, ...)"
    alike = near(lr_tag, tags) if lr_tag else []
    looked += f" (near it: {', '.join(alike)})" if alike else ""
    seen = f"{len(tags)} other series were there" if tags else "no series could be read at all"
    return Choice("learning rate", "none", f"Looked for {looked}; {seen}.", tuple(tags[:30]))


def _believed(
    run: Run, candidates: list[Recording], named: dict[str, tuple[str, ...]]
) -> tuple[Recording, list[Choice]]:
    """The recording with the most LR points, with the files of the same kind that go on where it stops."""

    def points(record: Recording) -> int:
        return sum(len(one) for one in record.of_tag(named[record.place][0]))

    def rank(record: Recording) -> tuple[int, bool, float, str]:
        lead = np.concatenate([one.values for one in record.of_tag(named[record.place][0])])
        return -points(record), record.kind in _TEXT_KINDS, resolution_of(lead, record.kind).relative, record.place

    ordered = sorted(candidates, key=rank)
    best, others = ordered[0], ordered[1:]
    choices = []
    for other in others:
        same = _relation(best, other, named)
        if same == "session":
            best = join(best.kind, best.place, (*best.series, *other.series))
            named[best.place] = named[best.place] or named[other.place]
            why = "The same tag in a file of the same kind, not a copy: another session of this run."
            choices.append(Choice("source of the learning rate", other.name, why))
        else:
            counts = f"{points(ordered[0])} points against {points(other)}"
            why = f"{_REASONS[same]} ({counts})."
            choices.append(Choice("source of the learning rate", best.name, why, (other.name,)))
    return best, choices


_REASONS = {
    "copy": "The same series lies in both files and is counted once; the fuller one is used",
    "finer": "Both files record this run, the one chosen more finely",
    "other": "The two files do not agree on the learning rate and seem to be of different runs; the fuller one is used",
}


def _relation(best: Recording, other: Recording, named: dict[str, tuple[str, ...]]) -> str:
    """ "copy", "session", "finer" (another kind of file on another axis, same range) or "other"."""
    mine, theirs = (_lead_points(record, named[record.place][0]) for record in (best, other))
    shared = np.isin(theirs[0], mine[0])
    if shared.mean() >= _SAME_STEPS:
        if _agree(mine, (theirs[0][shared], theirs[1][shared])):
            return "copy"
        return "session" if best.kind == other.kind else _by_range(mine[1], theirs[1])
    if best.kind == other.kind and named[best.place][0] == named[other.place][0]:
        return "session"
    return _by_range(mine[1], theirs[1])


def _by_range(mine: np.ndarray, theirs: np.ndarray) -> str:
    """Epoch means or sparser points of the same run lie within the range of the finer recording."""
    slack = _SAME_VALUE * float(np.nanmax(np.abs(mine)))
    inside = np.nanmin(theirs) >= np.nanmin(mine) - slack and np.nanmax(theirs) <= np.nanmax(mine) + slack
    constant_against_moving = np.nanmax(theirs) - np.nanmin(theirs) <= slack < np.nanmax(mine) - np.nanmin(mine)
    return "finer" if inside and not (constant_against_moving and len(theirs) > 3) else "other"


def _lead_points(record: Recording, tag: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a tag on the first axis it has; row numbers where it has none."""
    steps, values = [], []
    for one in record.of_tag(tag):
        axis = next((one.axes[name] for name in _COMPARED if name in one.axes), None)
        if axis is None:
            axis = next(iter(one.axes.values()), np.arange(len(one), dtype=np.float64))
        steps.append(axis)
        values.append(one.values)
    return np.concatenate(steps), np.concatenate(values)


_COMPARED = ("current_steps", "global_step", "step", "iteration", "iter", "it", "epoch")


def _agree(mine: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether most points of `theirs` have the value `mine` has at that step (any of them, where it has several)."""
    order = np.argsort(mine[0], kind="stable")
    steps, values = mine[0][order], mine[1][order]
    first = values[np.searchsorted(steps, theirs[0], side="left").clip(max=len(values) - 1)]
    last = values[(np.searchsorted(steps, theirs[0], side="right") - 1).clip(min=0)]
    slack = _SAME_VALUE * np.abs(theirs[1]) + 1e-12
    close = (np.abs(first - theirs[1]) <= slack) | (np.abs(last - theirs[1]) <= slack)
    close |= np.isnan(theirs[1]) & (np.isnan(first) | np.isnan(last))
    return float(close.mean()) >= _SAME_STEPS

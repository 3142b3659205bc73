"""Tags that a user names instead of leaving them to the guess: whether a run has them, and what comes near."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Choice

_SHOWN = 5
_CUTOFF = 0.5  # of difflib's similarity, from 0 to 1


def is_asked_for(tag: str, wanted: str) -> bool:
    """The tag itself or one of its groups: "train_lr" also asks for "train_lr[0]"."""
    return tag == wanted or tag.startswith(f"{wanted}[")


def names_in(run: Run, *, counters: bool) -> set[str]:
    """The series of a run, and with `counters` the step axes beside them."""
    return {*run.tags, *(name for series in run.series for name in series.axes if counters)}


def has(run: Run, wanted: str, *, counters: bool) -> bool:
    return any(is_asked_for(name, wanted) for name in names_in(run, counters=counters))


def near(wanted: str, names: Iterable[str]) -> list[str]:
    """The names most like `wanted`: by spelling, whatever the case, or with it as a part."""
    known = sorted(names)
    lowered = {name.lower(): name for name in known}
    alike = [lowered[name] for name in get_close_matches(wanted.lower(), lowered, n=_SHOWN, cutoff=_CUTOFF)]
    within = [name for name in known if wanted.lower() in name.lower()]
    return list(dict.fromkeys([*alike, *within]))[:_SHOWN]


def not_there(run: Run, loss_tag: str | None, step_tag: str | None) -> tuple[Choice, ...]:
    """What was asked for and is not in this run, so that the guess stands."""
    asked = (("training loss", loss_tag, False), ("step axis", step_tag, True))
    why = "named on the command line, but this run has nothing of that name: guessed as usual"
    return tuple(
        Choice(f"{what} asked for", wanted, why)
        for what, wanted, counters in asked
        if wanted is not None and not has(run, wanted, counters=counters)
    )

"""Tags given on the command line, checked against the names that were read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lrdoctor.auditing.options import Options
from lrdoctor.errors import UsageError
from lrdoctor.model.run import Run
from lrdoctor.reconstruct.asked import has, names_in, near

_OPTIONS = ("--lr-tag", "--loss-tag", "--step-tag")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one run, by option; `found` says whether the one asked for is among them."""

    found: tuple[bool, ...]
    names: tuple[tuple[str, ...], ...]


def names_of(run: Run, options: Options) -> Names | None:
    """What a run has to say to the tags that were asked for; None where none was."""
    if not any(options.tags):
        return None
    pairs = list(zip(_OPTIONS, options.tags, strict=True))
    found = tuple(wanted is not None and has(run, wanted, counters=_counts(option)) for option, wanted in pairs)
    names = tuple(() if wanted is None else tuple(names_in(run, counters=_counts(option))) for option, wanted in pairs)
    return Names(found, names)


def _counts(option: str) -> bool:
    return option == "--step-tag"


def check_tags(read: Iterable[Names | None], options: Options) -> None:
    """`UsageError` for a tag on the command line that not one run has: a misspelling must not look like a finding."""
    runs = [names for names in read if names is not None]
    for place, (option, wanted) in enumerate(zip(_OPTIONS, options.tags, strict=True)):
        if wanted is None or not runs or any(names.found[place] for names in runs):
            continue
        every = {name for names in runs for name in names.names[place]}
        alike = near(wanted, every)
        raise UsageError(
            f"No run has a series named {wanted!r} ({option}).",
            why=f"{len(every):,} names were read" + (f"; the nearest are {', '.join(alike)}" if alike else ""),
            hint=f"give the name as the log spells it{f', for example {option} {alike[0]!r}' if alike else ''};"
            " --show-sources shows what is guessed without the option",
        )

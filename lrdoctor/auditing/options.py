"""What may be asked of an audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrdoctor.engine import Rule, load_rules, select_rules
from lrdoctor.resources import rules_dir

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may ask of an audit.

    `jobs` is the number of processes, 0 for one a core where there is enough to do.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Path, ...] = ()
    rule_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simulate: bool = True
    device: str = "auto"
    jobs: int = 1
    lr_tag: str | None = None
    loss_tag: str | None = None
    step_tag: str | None = None

    @property
    def tags(self) -> tuple[str | None, str | None, str | None]:
        """The tags that were asked for, None where the guess is right."""
        return self.lr_tag, self.loss_tag, self.step_tag


def rules_of(options: Options) -> tuple[Rule, ...]:
    """The rules an audit with these options runs."""
    return select_rules(load_rules((rules_dir(), *options.rules)), options.select, options.ignore)

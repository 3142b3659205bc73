"""What may be asked of an audit."""

from __future__ import annotations

import hashlib
import threading
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

    `jobs` is the number of processes, 0 for one a core where there is enough to do. `unsimulated` says why, where
    `simulate` is off.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Path, ...] = ()
    rule_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simulate: bool = True
    unsimulated: str = "switched off by --no-simulate"
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
    """The rules an audit with these options runs; read anew when a file of theirs has changed."""
    mark = rules_mark(options)
    with _LOADING:
        if mark not in _LOADED:
            found = select_rules(load_rules((rules_dir(), *options.rules)), options.select, options.ignore)
            _LOADED.clear()
            _LOADED[mark] = found
        return _LOADED[mark]


_LOADED: dict[str, tuple[Rule, ...]] = {}  # those of the last audit: loading the rules takes longer than running them
_LOADING = threading.Lock()


def rules_mark(options: Options) -> str:
    """Changes with the choice of rules, and with every file of the folders they come from: helpers count too."""
    total = hashlib.sha256(repr((options.select, options.ignore)).encode())
    for given in (rules_dir(), *options.rules):
        files = given.glob("*.py") if given.is_dir() else (given, *given.parent.glob("_*.py"))
        for file in sorted(file for file in files if file.is_file()):
            total.update(f"\n{given}\n{file.name}\n".encode(errors="surrogateescape") + file.read_bytes())
    return total.hexdigest()

"""The audit of one run, in whatever process it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from lrdoctor import __version__
from lrdoctor.auditing.one import diagnose, examine_one
from lrdoctor.auditing.options import Options, rules_of
from lrdoctor.auditing.tags import Names, names_of
from lrdoctor.engine import Rule, Sibling
from lrdoctor.errors import LrdoctorError, UsageError
from lrdoctor.limits import Limits, limits, under
from lrdoctor.model.diagnosis import Diagnosis, Skipped
from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.storage import below

Product = TypeVar("Product")


@dataclass(frozen=True, slots=True)
class Task:
    """A run to audit, with those beside it that rules compare it with; or, `in_short`, only to be summed up."""

    files: RunFiles
    chosen: Mapping[str, tuple[Sibling, ...]] = field(default_factory=dict)
    in_short: bool = False


@dataclass(frozen=True, slots=True)
class Audited(Generic[Product]):
    """A run as its neighbours see it, and what was made of its diagnosis (None where it was only summed up)."""

    own: Sibling
    names: Names | None
    product: Product | None


@dataclass(frozen=True, slots=True)
class Job(Generic[Product]):
    """What all runs of an audit have in common; called with a task, it audits that run.

    `make` turns a diagnosis into what is to be kept of it. `folder` is where relative paths start, None for the folder
    the process is in.
    """

    options: Options
    make: Callable[[Diagnosis, tuple[Rule, ...]], Product]
    folder: str | None = None
    limits: Limits = field(default_factory=limits)
    version: str = __version__

    def for_elsewhere(self) -> Job[Product]:
        """The same job for processes that were started in another folder, or on another machine."""
        rules = tuple(path.resolve() for path in self.options.rules)
        return replace(self, options=replace(self.options, rules=rules), folder=str(Path.cwd()))

    def __call__(self, task: Task) -> Audited[Product] | Skipped:
        if self.version != __version__:
            raise UsageError(
                "The versions of lrdoctor differ.",
                why=f"the audit was started by {self.version}, and a worker has {__version__}",
                hint="install the same version on every worker",
            )
        with ExitStack() as stack:
            stack.enter_context(under(self.limits))
            if self.folder is not None:
                stack.enter_context(below(self.folder))
            return self._audited(task)

    def _audited(self, task: Task) -> Audited[Product] | Skipped:
        evidence = examine_one(task.files, self.options)
        if isinstance(evidence, Skipped):
            return evidence
        try:
            own, names = evidence.as_sibling, names_of(evidence.run, self.options)
            if task.in_short:
                return Audited(own, names, None)
            rules = rules_of(self.options)
            diagnosis = diagnose(replace(evidence, chosen=task.chosen), rules, self.options)
            return Audited(own, names, self.make(diagnosis, rules))
        except LrdoctorError:
            raise
        except Exception as error:  # as in `examine_one`
            return Skipped(task.files.path, f"internal error while checking: {type(error).__name__}: {error}")

"""`@rule`: a function becomes a rule, and its signature says what it needs and what can be tuned."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_type_hints

from lrdoctor.engine.codes import CODES
from lrdoctor.engine.evidence import ConfigEvidence, Sibling
from lrdoctor.engine.needs import Need, need_of
from lrdoctor.engine.page import RulePage, parse_page
from lrdoctor.errors import RuleFileError
from lrdoctor.model.finding import SEVERITIES, Finding, Severity
from lrdoctor.synth import ConfigSpec, RunSpec

Check = Callable[..., Iterable[Finding] | None]
Compares = Callable[..., Iterable[Sibling]]
"""(the run, the runs beside it, **options) -> those of them the rule looks at."""
Within = Callable[[Sibling], Hashable | None]
"""A run -> what is the same of runs that may be compared; None: it is compared with none."""
_CODE = re.compile(r"[A-Z]{2,8}\d{3,4}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Case:
    """An example of a rule, kept beside it: the documentation shows it and the tests run it.

    `siblings` are the runs audited beside it. `cured` is the run after the fix where more than the schedule has to
    change (a checkpoint that now holds the scheduler); the harness gives it the remedy's schedule and expects silence.
    Where the spec is a config, `cured` is the config as the remedy says to write it.
    """

    title: str
    spec: RunSpec | ConfigSpec
    fires: bool = False
    siblings: tuple[RunSpec, ...] = ()
    cured: RunSpec | ConfigSpec | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule, ready to run: `check(*evidence, **options)`.

    `needs` are the positional parameters of the check, `options` its keyword-only ones with their defaults;
    `suppresses` the codes whose findings this one explains; `path` the rule file, None outside one. `twin` is the same
    rule's check of training configs, where its file holds one beside that of runs. `compares` chooses among the runs
    beside the one checked, of those that are the same to `within`.
    """

    code: str
    name: str
    severity: Severity
    check: Check
    needs: tuple[Need, ...]
    options: Mapping[str, Any]
    suppresses: tuple[str, ...] = ()
    page: RulePage = field(default_factory=lambda: RulePage(""))
    cases: tuple[Case, ...] = ()
    path: str | None = None
    twin: Rule | None = None
    compares: Compares | None = None
    within: Within | None = None

    @property
    def looks_beside(self) -> bool:
        """Whether it asks for the runs beside the one it checks."""
        return any(need.beside for need in self.needs)

    @property
    def checks_configs(self) -> bool:
        """Whether it asks for a training config; otherwise for a run."""
        return any(need.of is ConfigEvidence for need in self.needs)

    @property
    def checks(self) -> tuple[Rule, ...]:
        """The rule itself and its twin."""
        return (self,) if self.twin is None else (self, self.twin)

    @property
    def all_options(self) -> Mapping[str, Any]:
        """The options of both checks; what they share means the same and has one default."""
        return self.options if self.twin is None else MappingProxyType({**self.options, **self.twin.options})


def rule(
    code: str,
    severity: Severity | None = None,
    *,
    name: str | None = None,
    suppresses: Iterable[str] = (),
    compares: Compares | None = None,
    within: Within | None = None,
) -> Callable[[Check], Rule]:
    """Make the decorated generator of findings the rule `code`.

    A code of lrdoctor's own (see `lrdoctor.engine.codes`) brings its name and default severity; any other needs a
    `name`, and its severity is "warning" unless given. Positional parameters are evidence, matched by annotation: Run,
    Trajectory, Identification, GroupTrajectory, LossCurve, Fit, Schedule or one of its families, Checkpoint,
    tuple[Checkpoint, ...], Sibling (the run in short), tuple[Sibling, ...] (the runs beside it), each also as
    `X | None`; or, for a check of training configs, Plan, Broken and BasePlan. A rule is not asked where a part it
    needs is absent. A file may hold one check of each kind. Keyword-only parameters are options. Raises RuleFileError
    where any of that does not hold.

    A rule of `tuple[Sibling, ...]` is given what `compares(own, others, **options)` chooses among the other runs, where
    that is said: a run is then audited again only when one of those changes, not with any run of thousands. Its options
    are the check's of the same name. Given its own choice it must choose the same. `within(run)` spares it most others:
    only those for which it gives the same (the folder, the model) are among them, and none where it gives None.
    """
    name, severity = _named(code, name, severity)

    def decorate(check: Check) -> Rule:
        module = sys.modules.get(check.__module__)
        needs, options = _signature(code, check)
        page = parse_page(getattr(module, "__doc__", None))
        cases = tuple(getattr(module, "CASES", ()))
        told = (code, name, severity, check, needs, options, tuple(suppresses), page, cases)
        return Rule(*told, compares=compares, within=within)

    return decorate


def _named(code: str, name: str | None, severity: Severity | None) -> tuple[str, Severity]:
    """The name and severity of `code`, checked against the table of permanent codes."""
    if not _CODE.fullmatch(code):
        raise RuleFileError(
            f"{code!r} is no rule code.", hint="capital letters and three or four digits, such as XX001"
        )
    own = CODES.get(code)
    if own is None and code.startswith("LR"):
        raise _reserved(code)
    if own is not None and name not in (None, own.name):
        raise RuleFileError(
            f"{code} is named {own.name!r}, not {name!r}.", hint="leave `name` out, or take another code"
        )
    name = own.name if own is not None else name
    if name is None or not _NAME.fullmatch(name):
        raise RuleFileError(f"Rule {code} needs a name.", hint=f'such as @rule("{code}", name="lr-too-low")')
    severity = severity or (own.severity if own is not None else "warning")
    if severity not in SEVERITIES:
        raise RuleFileError(f"Rule {code} has severity {severity!r}.", hint="one of " + ", ".join(SEVERITIES))
    return name, severity


def _reserved(code: str) -> RuleFileError:
    close = difflib.get_close_matches(code, CODES, n=1)
    hint = "codes that start with LR are lrdoctor's own; use letters of your own, such as XX001"
    return RuleFileError(
        f"{code} is not in the table of codes.", hint=f"did you mean {close[0]}? {hint}" if close else hint
    )


def _signature(code: str, check: Check) -> tuple[tuple[Need, ...], Mapping[str, Any]]:
    """What the check's parameters ask for."""
    try:
        types = get_type_hints(check)
    except Exception as error:
        raise RuleFileError(
            f"An annotation of rule {code} cannot be resolved.", why=str(error), hint="import the names it uses"
        ) from error
    needs: list[Need] = []
    options: dict[str, Any] = {}
    for parameter in inspect.signature(check).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            options[parameter.name] = _default(code, parameter)
        else:
            needs.append(_need(code, parameter, types))
    return tuple(needs), MappingProxyType(options)


def _default(code: str, parameter: inspect.Parameter) -> Any:
    if parameter.default is parameter.empty:
        raise RuleFileError(f"Option {parameter.name!r} of rule {code} has no default.", hint="give it one")
    return parameter.default


def _need(code: str, parameter: inspect.Parameter, types: Mapping[str, Any]) -> Need:
    if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise RuleFileError(f"Rule {code} takes *{parameter.name}.", hint="name each piece of evidence it needs")
    if parameter.default is not parameter.empty:
        raise RuleFileError(
            f"Parameter {parameter.name!r} of rule {code} has a default, yet it is positional.",
            hint="options come after a bare `*`; optional evidence is annotated `X | None`",
        )
    need = need_of(types.get(parameter.name))
    if need is None:
        raise RuleFileError(
            f"Rule {code} cannot be given its parameter {parameter.name!r}.",
            why="it is matched by its annotation, and this one is no kind of evidence",
            hint="Run, Trajectory, Identification, GroupTrajectory, LossCurve, Fit, a schedule family, Checkpoint, "
            "tuple[Checkpoint, ...] or tuple[Sibling, ...]; for configs Plan, Broken or BasePlan",
        )
    return need

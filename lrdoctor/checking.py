"""The check of training configs, from paths to findings. This module alone knows the order of its rooms."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lrdoctor import __version__
from lrdoctor.configs import Context, NotAConfig, SchemaMap, Sizes, read_plans
from lrdoctor.configs.base import Bases
from lrdoctor.configs.comments import apply_comments
from lrdoctor.configs.find import Candidate, find_configs
from lrdoctor.configs.read import MAX_BYTES
from lrdoctor.configs.versions import lookup
from lrdoctor.engine import ConfigEvidence, Rule, apply_rules, load_rules, select_rules
from lrdoctor.errors import LrdoctorError, UsageError
from lrdoctor.model.checked import Checked, CheckedConfig, Remark
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.model.finding import Finding
from lrdoctor.model.plan import Broken, Plan
from lrdoctor.resources import rules_dir

Progress = Callable[[str, int, int], None]
STDIN = "-"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the command line may ask of a check.

    `sizes_by_path` gives sizes to the configs a pattern fits, `schemas` says which keys of a trainer of one's own mean
    what, `frameworks` maps a package to the version meant. `against` is a git revision or a file to compare with,
    `only_changed` a revision whose differences alone count.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rules: tuple[Path, ...] = ()
    rule_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sizes: Sizes = field(default_factory=Sizes)
    sizes_by_path: tuple[tuple[str, Sizes], ...] = ()
    schemas: tuple[SchemaMap, ...] = ()
    frameworks: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    always_exclude: bool = False
    against: str | None = None
    only_changed: str | None = None
    stdin_name: str = "stdin.yaml"


def check(paths: Sequence[str], options: CheckOptions | None = None, progress: Progress = lambda *_: None) -> Checked:
    """Check every training config below `paths`; `-` is standard input.

    A file that was named and is no config is listed in `Checked.skipped`; one that cannot be read has a finding. Raises
    `UsageError` for an unknown rule code, a broken rule file, or a git revision that cannot be resolved.
    """
    options = options or CheckOptions()
    rules = config_rules(options)
    bases = Bases(options.against, options.only_changed)
    candidates = find_configs(paths, options.exclude, always=options.always_exclude)
    configs: list[CheckedConfig] = []
    skipped: list[Skipped] = []
    remarks: list[Remark] = []
    passed_over = unchanged = 0
    for number, candidate in enumerate(candidates, 1):
        progress("checking", number, len(candidates))
        if not bases.wanted(candidate.path):
            unchanged += 1
            continue
        try:
            found, told = _checked(candidate, options, rules, bases)
            configs += found
            remarks += told
        except NotAConfig as error:
            passed_over += not candidate.named
            skipped += [Skipped(str(candidate.path), str(error))] if candidate.named else []
    return Checked(tuple(configs), tuple(skipped), __version__, tuple(remarks), passed_over, unchanged)


def config_rules(options: CheckOptions) -> tuple[Rule, ...]:
    """The rules a check with these options runs: of those selected, the ones with a check of configs."""
    chosen = select_rules(load_rules((rules_dir(), *options.rules)), options.select, options.ignore)
    return tuple(rule for rule in chosen if any(check.checks_configs for check in rule.checks))


def _checked(
    candidate: Candidate, options: CheckOptions, rules: Sequence[Rule], bases: Bases
) -> tuple[list[CheckedConfig], list[Remark]]:
    """The configs in one file. The comments of a file hold for all of them."""
    path, data = _content(candidate, options)
    context = Context(_sizes(path, options), lookup(path.resolve().parent, options.frameworks))
    schema = next((one for one in options.schemas if _fits(path, one.match)), None)
    text = data.decode("utf-8-sig", errors="replace")
    try:
        plans = read_plans(path, data, context, schema)
    except (NotAConfig, LrdoctorError):
        raise
    except Exception as error:  # the last guard: a fault of ours in one config is told, and the others go on
        told = f"internal error while planning: {type(error).__name__}: {error}"
        return [CheckedConfig(str(path), None, None, (), tuple(text.splitlines()), None, (told,))], []
    before = bases.plans(path, context)
    configs = [
        _examined(plan, rules, options, text, before[index] if index < len(before) else None)
        for index, plan in enumerate(plans)
    ]
    return apply_comments(configs, text, path, ran=frozenset(rule.code for rule in rules))


def _examined(
    plan: Plan | Broken, rules: Sequence[Rule], options: CheckOptions, text: str, base: Plan | None
) -> CheckedConfig:
    planned, broken = (plan, None) if isinstance(plan, Plan) else (None, plan)
    applied = apply_rules(rules, ConfigEvidence(planned, broken, base), options.rule_options)
    findings = tuple(sorted((_placed(finding, plan) for finding in applied.findings), key=_order))
    lines = tuple(text.splitlines())
    return CheckedConfig(plan.path, planned, broken, findings, lines, base, applied.problems)


def _placed(finding: Finding, plan: Plan | Broken) -> Finding:
    """A finding about the config as a whole stands at its beginning."""
    return finding if finding.place is not None else replace(finding, place=plan.place)


def _order(finding: Finding) -> tuple[int, int, str]:
    place = finding.place
    return (place.line, place.column, finding.code) if place is not None else (0, 0, finding.code)


def _content(candidate: Candidate, options: CheckOptions) -> tuple[Path, bytes]:
    if str(candidate.path) == STDIN:
        return Path(options.stdin_name), sys.stdin.buffer.read(MAX_BYTES + 1)
    if candidate.path.exists() and not candidate.path.is_file():
        raise NotAConfig("it is no regular file")
    try:
        with candidate.path.open("rb") as stream:
            return candidate.path, stream.read(MAX_BYTES + 1)
    except OSError as error:
        if not candidate.named:
            raise NotAConfig(f"it cannot be read: {error.strerror}") from error
        raise UsageError("The config cannot be read.", where=str(candidate.path), why=error.strerror) from error


def _sizes(path: Path, options: CheckOptions) -> Sizes:
    """The sizes of the command line, completed by those of the first pattern that fits."""
    for pattern, sizes in options.sizes_by_path:
        if _fits(path, pattern):
            return Sizes(
                options.sizes.dataset or sizes.dataset,
                options.sizes.world or sizes.world,
                options.sizes.updates_per_epoch or sizes.updates_per_epoch,
            )
    return options.sizes


def _fits(path: Path, pattern: str) -> bool:
    return fnmatch(path.as_posix(), pattern) or fnmatch(path.as_posix(), f"*/{pattern}")

"""The audit, from paths to diagnoses. This module alone knows the order of the rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lrdoctor import __version__
from lrdoctor.engine import Evidence, Rule, apply_rules, load_rules, select_rules, sibling_of
from lrdoctor.engine.optimizers import optimizer_of
from lrdoctor.errors import LrdoctorError, MissingExtraError, ReadError, UsageError
from lrdoctor.identify import identify
from lrdoctor.model.diagnosis import Audit, Counterfactual, Diagnosis, Skipped, TorchReplay, Verdict
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.model.run import Run
from lrdoctor.readers.discover import RunFiles, discover
from lrdoctor.readers.load import load
from lrdoctor.reconstruct import reconstruct
from lrdoctor.reconstruct.asked import has, names_in, near
from lrdoctor.resources import rules_dir

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may ask of an audit. `unsimulated` says why, where `simulate` is off."""

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


def audit(paths: Sequence[str], options: Options | None = None, progress: Progress = lambda *_: None) -> Audit:
    """Audit every run below `paths`.

    A run that cannot be used is listed in `Audit.skipped` with the reason; the others are not affected. Raises
    `UsageError` for a missing path, an unknown rule code or a broken rule file.
    """
    options = options or Options()
    rules = rules_of(options)
    examined, skipped = examine(paths, options, progress)
    _check_tags([one.run for one in examined], options)
    siblings = [sibling_of(one.run, one.trajectory, one.identification) for one in examined]
    diagnoses = []
    for index, one in enumerate(examined):
        progress("checking", index, len(examined))
        others = tuple(siblings[:index] + siblings[index + 1 :])
        evidence = Evidence(one.run, one.trajectory, one.identification, others)
        diagnoses.append(diagnose(evidence, rules, options))
    progress("checking", len(examined), len(examined))
    return Audit(tuple(diagnoses), skipped, __version__)


def examine(
    paths: Sequence[str], options: Options, progress: Progress = lambda *_: None
) -> tuple[list[Evidence], tuple[Skipped, ...]]:
    """Find, read, reconstruct and identify every run below `paths`; what could not be used, with the reasons."""
    found = discover(paths)
    examined, lost = _examine_all(found.runs, options, progress)
    return examined, tuple(sorted({*found.skipped, *lost}, key=lambda item: (item.path, item.reason)))


def _check_tags(runs: Sequence[Run], options: Options) -> None:
    """`UsageError` for a tag on the command line that not one run has: a misspelling must not look like a finding."""
    asked = (("--lr-tag", options.lr_tag), ("--loss-tag", options.loss_tag), ("--step-tag", options.step_tag))
    for option, wanted in asked:
        counters = option == "--step-tag"
        if wanted is None or not runs or any(has(run, wanted, counters=counters) for run in runs):
            continue
        every = {name for run in runs for name in names_in(run, counters=counters)}
        alike = near(wanted, every)
        raise UsageError(
            f"No run has a series named {wanted!r} ({option}).",
            why=f"{len(every):,} names were read" + (f"; the nearest are {', '.join(alike)}" if alike else ""),
            hint=f"give the name as the log spells it{f', for example {option} {alike[0]!r}' if alike else ''};"
            " --show-sources shows what is guessed without the option",
        )


def rules_of(options: Options) -> tuple[Rule, ...]:
    """The rules an audit with these options runs."""
    return select_rules(load_rules((rules_dir(), *options.rules)), options.select, options.ignore)


def _examine_all(
    runs: Sequence[RunFiles], options: Options, progress: Progress
) -> tuple[list[Evidence], list[Skipped]]:
    examined: list[Evidence] = []
    lost: list[Skipped] = []
    examine = partial(_examine, options=options)
    for index, result in enumerate(_mapped(examine, runs, options.jobs)):
        progress("reading", index + 1, len(runs))
        if isinstance(result, Skipped):
            lost.append(result)
        else:
            examined.append(result)
    return examined, lost


def _mapped(
    function: Callable[[RunFiles], Evidence | Skipped], runs: Sequence[RunFiles], jobs: int
) -> Iterable[Evidence | Skipped]:
    if jobs <= 1 or len(runs) <= 1:
        yield from map(function, runs)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        yield from pool.map(function, runs)


def _examine(files: RunFiles, options: Options) -> Evidence | Skipped:
    """Files -> what was executed and which schedule explains it. One bad run must not stop the rest."""
    try:
        run = load(files)
        trajectory = reconstruct(run, lr_tag=options.lr_tag, loss_tag=options.loss_tag, step_tag=options.step_tag)
        return Evidence(run, trajectory, identify(trajectory, run.checkpoints))
    except ReadError as error:
        return Skipped(files.path, f"{error.what} {error.why or ''}".strip())
    except LrdoctorError:
        raise
    except Exception as error:  # the last guard: a fault of ours in one run is told, and the others go on
        return Skipped(files.path, f"internal error while reading: {type(error).__name__}: {error}")


def diagnose(evidence: Evidence, rules: Sequence[Rule], options: Options) -> Diagnosis:
    """Evidence -> findings -> remedy -> re-simulation -> diagnosis."""
    applied = apply_rules(rules, evidence, options.rule_options)
    active = [finding for finding in applied.findings if finding.suppressed_by is None]
    remedy = _remedy_to_replay(active)
    left_out = list(applied.problems)
    replay, counterfactual = _simulate(evidence, remedy, options, left_out)
    return Diagnosis(
        run=evidence.run,
        trajectory=evidence.trajectory,
        identification=evidence.identification,
        findings=applied.findings,
        verdict=_verdict(evidence, active),
        remedy=remedy,
        replay=replay,
        counterfactual=counterfactual,
        left_out=tuple(left_out),
    )


def _verdict(evidence: Evidence, active: Sequence[Finding]) -> Verdict:
    if any(finding.severity in ("error", "warning") for finding in active):
        return "lr-faulty"
    lead = evidence.identification.lead
    known = lead is not None and all(fit.sure for fit in lead.fits)
    gated = any(finding.code == "LR901" for finding in active)
    return "lr-healthy" if known and not gated else "lr-unknown"


def _remedy_to_replay(active: Sequence[Finding]) -> Remedy | None:
    """The remedy of the gravest finding that brings a schedule."""
    order = ("error", "warning", "info")
    ranked = sorted(active, key=lambda finding: order.index(finding.severity or "info"))
    return next((item.remedy for item in ranked if item.remedy and item.remedy.schedule), None)


def _simulate(
    evidence: Evidence, remedy: Remedy | None, options: Options, left_out: list[str]
) -> tuple[TorchReplay | None, Counterfactual]:
    if remedy is None or remedy.schedule is None:
        return None, Counterfactual("not-needed")
    if not options.simulate:
        left_out.append(f"re-simulation: {options.unsimulated}")
        return None, Counterfactual("refused", reason=f"re-simulation was {options.unsimulated}")
    from lrdoctor.simulate.estimate import estimate
    from lrdoctor.simulate.replay import step_through_torch

    replay = None
    try:
        optimizer = optimizer_of(evidence.run)
        replay = step_through_torch(remedy.schedule, evidence.trajectory.steps, optimizer=optimizer)
    except MissingExtraError as error:
        left_out.append(f"torch replay of the fix: {error.what} {error.hint or ''}".strip())
    counterfactual = estimate(
        evidence.run, evidence.trajectory, evidence.identification, remedy.schedule, device=options.device
    )
    return replay, counterfactual

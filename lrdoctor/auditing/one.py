"""One run, from files to diagnosis. This module alone knows the order of the rooms."""

from __future__ import annotations

from collections.abc import Sequence

from lrdoctor.auditing.options import Options
from lrdoctor.engine import Evidence, Rule, apply_rules
from lrdoctor.engine.optimizers import optimizer_of
from lrdoctor.errors import LrdoctorError, MissingExtraError, ReadError
from lrdoctor.identify import identify
from lrdoctor.model.diagnosis import Counterfactual, Diagnosis, Skipped, TorchReplay, Verdict
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.load import load
from lrdoctor.reconstruct import reconstruct


def examine_one(files: RunFiles, options: Options) -> Evidence | Skipped:
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

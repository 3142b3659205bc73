"""The audit as strict JSON, by the published schema (docs/audit.schema.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lrdoctor.engine.agreement import comparisons
from lrdoctor.model.agreement import Claim
from lrdoctor.model.diagnosis import Audit, Counterfactual, Diagnosis, Skipped
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.model.identification import Fit, GroupIdentification
from lrdoctor.model.run import Checkpoint, Source
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Choice, GroupTrajectory, Segment, StepUnit, Trajectory
from lrdoctor.report.describe import describe
from lrdoctor.report.dialects import framework_code
from lrdoctor.report.finding_ids import finding_ids, ids_of
from lrdoctor.report.pages import Pages
from lrdoctor.report.resume_code import resume_state
from lrdoctor.report.strict import strict
from lrdoctor.report.words import planned_steps, severity_rank, verdict_sentence

FORMAT_VERSION = 1
LR_NAME = re.compile(r"(^|[/_-])(lr|learning[_ ]?rate)\d*($|[/_-])", re.IGNORECASE)  # the names logs really use


def render(audit: Audit, pages: Pages) -> str:
    """The document as text; rule pages are not part of it (`lrdoctor explain` prints them)."""
    del pages  # every machine format is rendered with the same two arguments
    return dumps(audit)


def dumps(audit: Audit) -> str:
    """The document as text: keys sorted, ASCII only, two spaces, a line break at the end."""
    return dumped(document(audit)) + "\n"


def document(audit: Audit) -> dict[str, Any]:
    """The audit as a tree of JSON types: runs, sources and checkpoints by path, findings by weight.

    How many seconds an estimate took is left out: the same audit gives the same bytes.
    """
    diagnoses = sorted(audit.diagnoses, key=lambda found: found.run.path)
    return {
        "format_version": FORMAT_VERSION,
        "lrdoctor_version": audit.version,
        "runs": [run_entry(one, ids) for one, ids in zip(diagnoses, finding_ids(diagnoses), strict=True)],
        "skipped": _skipped(audit.skipped),
    }


def _skipped(skipped: Iterable[Skipped]) -> list[dict[str, str]]:
    ordered = sorted(skipped, key=lambda found: (found.path, found.reason))
    return [{"path": one.path, "reason": one.reason} for one in ordered]


def entry_text(entry: dict[str, Any]) -> str:
    """What `run_entry` made, as it stands in the text of `dumps`."""
    return dumped(entry).replace("\n", "\n    ")


def pieces(entries: Iterable[str], skipped: Iterable[Skipped], version: str) -> Iterator[str]:
    """The text of `dumps`, run by run: `entries` as `entry_text` made them, sorted by path."""
    end = dumped({"skipped": _skipped(skipped)})[2:]  # what follows the runs, its opening brace left out
    yield f'{{\n  "format_version": {FORMAT_VERSION},\n  "lrdoctor_version": {json.dumps(version)},\n  "runs": ['
    count = 0
    for count, entry in enumerate(entries, start=1):
        yield f"{',' if count > 1 else ''}\n    {entry}"
    yield ("\n  ],\n" if count else "],\n") + end + "\n"


def dumped(tree: object) -> str:
    """Keys sorted, ASCII only, two spaces."""
    return json.dumps(tree, sort_keys=True, indent=2, allow_nan=False)


def run_entry(diagnosis: Diagnosis, ids: Sequence[str] | None = None) -> dict[str, Any]:
    """The contract's entry of a run, as a tree of JSON types; `ids` of its findings where others have taken its own."""
    ids = ids_of(diagnosis).own if ids is None else ids
    trajectory = diagnosis.trajectory
    named = sorted(zip(diagnosis.findings, ids, strict=True), key=lambda pair: weight(pair[0]))
    fields = {
        "path": diagnosis.run.path,
        "framework": diagnosis.run.framework,
        "sources": _sources(diagnosis),
        "lr_points": trajectory.lr_points,
        "steps": trajectory.steps,
        "step_unit": trajectory.step_unit,
        "steps_per_epoch": _count(trajectory.steps_per_epoch),
        "epochs": _count(trajectory.epochs),
        "batch_size": trajectory.batch_size,
        "complete": trajectory.complete,
        "segments": [_segment(segment) for segment in trajectory.segments],
        "param_groups": _param_groups(diagnosis),
        "checkpoints": [_checkpoint(found) for found in sorted(diagnosis.run.checkpoints, key=lambda one: one.path)],
        "verdict": diagnosis.verdict,
        "summary": verdict_sentence(diagnosis),
        "findings": [finding_fields(finding, diagnosis, name) for finding, name in named],
        "counterfactual": {**counterfactual_fields(diagnosis.counterfactual), "seconds": None},
        **_agreement(diagnosis),
        "left_out": list(diagnosis.left_out),
        "choices": [_choice(choice) for choice in trajectory.choices],
    }
    plain, notes = strict(fields)
    return {**plain, "notes": notes}


def _choice(choice: Choice) -> dict[str, Any]:
    return {"what": choice.what, "chosen": choice.chosen, "why": choice.why, "rejected": list(choice.rejected)}


def _agreement(diagnosis: Diagnosis) -> dict[str, Any]:
    """Whether all sources agree (null where nothing is said twice), and the table of what they say."""
    found = comparisons(diagnosis.run, diagnosis.trajectory, diagnosis.identification)
    return {
        "sources_agree": all(one.agree for one in found) if found else None,
        "source_table": [
            {
                "topic": one.topic,
                "declared": _claim(one.declared),
                "checkpoint": _claim(one.checkpoint),
                "executed": _claim(one.executed),
                "agree": one.agree,
            }
            for one in found
        ],
    }


def _claim(claim: Claim | None) -> dict[str, Any] | None:
    if claim is None:
        return None
    return {"value": claim.value if isinstance(claim.value, str) else _count(claim.value), "source": claim.source}


def ordered(findings: tuple[Finding, ...]) -> list[Finding]:
    """Findings that count first, then by severity, code, parameter group and place."""
    return sorted(findings, key=weight)


def weight(finding: Finding) -> tuple[bool, int, str, str, float]:
    """What findings are ordered by."""
    suppressed = finding.suppressed_by is not None
    return suppressed, severity_rank(finding), finding.code, finding.group or "", finding.first_step


def _sources(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    counted: dict[str, int] = {}
    for path, points in diagnosis.trajectory.lr_points_by_source:
        counted[path] = counted.get(path, 0) + points
    return [_source(source, diagnosis, counted) for source in sorted(diagnosis.run.sources, key=lambda one: one.path)]


def _source(source: Source, diagnosis: Diagnosis, counted: dict[str, int]) -> dict[str, Any]:
    notes = [str(note) for note in source.notes]
    points = counted.get(source.path, 0)
    if not points and any(counted.values()) and _records_lr(source.path, diagnosis):
        notes.append("its learning rate is recorded in another file of this run as well and counted once, there")
    return {"path": source.path, "kind": source.kind, "points": points, "scalars": source.points, "notes": notes}


def _records_lr(path: str, diagnosis: Diagnosis) -> bool:
    chosen = {group.tag for group in diagnosis.trajectory.groups}
    tags = [series.tag for series in diagnosis.run.series if series.path == path and len(series)]
    return any(tag in chosen or LR_NAME.search(tag) for tag in tags)


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "first_step": _count(segment.first_step),
        "last_step": _count(segment.last_step),
        "source": segment.source,
        "resumed": segment.resumed,
    }


def _param_groups(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    trajectory = diagnosis.trajectory
    read = {group.name: group for group in diagnosis.identification.groups}
    return [_param_group(group, read.get(group.name), trajectory) for group in trajectory.groups]


def _param_group(group: GroupTrajectory, reading: GroupIdentification | None, trajectory: Trajectory) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": group.name, "tag": group.tag, "schedule": None}
    if reading is None or not reading.fits:
        return fields
    fields["schedule"] = _schedule(reading.fit, _last_executed(group, reading.fit, trajectory))
    if len(reading.fits) > 1:
        fields["segments"] = [_stretch(fit) for fit in reading.fits]
    return fields


def _last_executed(group: GroupTrajectory, fit: Fit, trajectory: Trajectory) -> float:
    last_logged = float(group.steps[-1]) if len(group.steps) else fit.last_step
    return max(float(trajectory.steps - 1), last_logged)


def _stretch(fit: Fit) -> dict[str, Any]:
    steps = {"first_step": _count(fit.first_step), "last_step": _count(fit.last_step)}
    return {**_schedule(fit, fit.last_step), **steps}


def _schedule(fit: Fit, last_step: float) -> dict[str, Any]:
    warmup = fit.warmup
    return {
        "family": fit.family,
        "stepped": fit.stepped,
        "params": fit.schedule.params(),
        "warmup": None
        if warmup is None
        else {
            "kind": warmup.kind,
            "steps": _count(warmup.steps),
            "start_factor": warmup.start_factor,
            **({"unit": warmup.unit} if warmup.unit else {}),
            **({"overlaid": True} if warmup.overlaid else {}),
        },
        "peak_lr": fit.peak_lr,
        "final_lr": float(fit.whole.lr_at([last_step])[0]),
        "horizon_steps": _count(planned_steps(fit)),
        "fit_error": fit.fit_error,
        "confidence": fit.confidence,
        "runner_up": fit.runner_up,
        "evidence": fit.evidence,
        "exact": fit.exact,
        "assumed": list(fit.assumed),
    }


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    scheduler = checkpoint.scheduler
    return {
        "path": checkpoint.path,
        "kind": checkpoint.kind,
        "model": checkpoint.model,
        "optimizer": checkpoint.optimizer is not None,
        "scheduler": bool(checkpoint.schedulers),
        "scheduler_family": scheduler.family if scheduler else None,
        "last_epoch": _count(scheduler.last_epoch) if scheduler else None,
        "optimizer_step": checkpoint.optimizer.step if checkpoint.optimizer else None,
        "global_step": checkpoint.global_step,
        "epoch": _count(checkpoint.epoch),
        "framework": checkpoint.framework,
        "recomputes_schedule": checkpoint.recomputes_schedule,
        "notes": [str(note) for note in checkpoint.notes],
    }


def finding_fields(finding: Finding, diagnosis: Diagnosis, name: str) -> dict[str, Any]:
    """The contract's finding; `name` is its id."""
    return {
        "id": name,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity or "info",
        "message": finding.message,
        "first_step": _count(finding.first_step),
        "last_step": _count(finding.last_step),
        "param_group": finding.group,
        "evidence": dict(finding.evidence),
        "fix": None if finding.remedy is None else _fix(finding, finding.remedy, diagnosis),
        "suppressed_by": finding.suppressed_by,
    }


def _fix(finding: Finding, remedy: Remedy, diagnosis: Diagnosis) -> dict[str, Any]:
    schedule, words = remedy.schedule, framework_code(remedy, diagnosis)
    state = resume_state(finding, diagnosis)
    return {
        "summary": remedy.summary,
        "schedule": None if schedule is None else schedule_fields(schedule, diagnosis.trajectory.step_unit),
        "torch_code": remedy.code or (schedule.torch_code() if schedule is not None else None),
        "framework_code": None
        if words is None
        else {"framework": words.framework, "code": words.code, "exact": words.exact},
        "resume_state": None if state is None else state.fields(),
    }


def schedule_fields(schedule: Schedule, step_unit: StepUnit = "update") -> dict[str, Any]:
    """The contract's `schedule` of a fix."""
    return describe(schedule, step_unit).fields()


def counterfactual_fields(found: Counterfactual) -> dict[str, Any]:
    """The contract's `counterfactual`."""
    return {
        "status": found.status,
        "reason": found.reason,
        "method": found.method,
        "observed_final_loss": found.observed_final_loss,
        "estimated_final_loss": found.estimated_final_loss,
        "interval_90": None if found.interval_90 is None else list(found.interval_90),
        "prior_share": found.prior_share,
        "direction": found.direction,
        "gain": found.gain,
        "gain_90": None if found.gain_90 is None else list(found.gain_90),
        "leaned_on": list(found.leaned_on),
        "settle": found.settle,
        "notes": list(found.notes),
        "device": found.device,
        "seconds": found.seconds,
    }


def _count(value: float | None) -> float | int | None:
    """A whole number of steps as an integer."""
    return int(value) if value is not None and float(value).is_integer() else value

"""The check as strict JSON, by the published schema (docs/check.schema.json)."""

from __future__ import annotations

import json
from typing import Any

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.plan import Batch, Plan, Setting
from lrdoctor.report.checked.fingerprint import fingerprint
from lrdoctor.report.checked.schedule import schedule_fields
from lrdoctor.report.pages import Pages
from lrdoctor.report.strict import strict

FORMAT_VERSION = 1


def render(checked: Checked, pages: Pages) -> str:
    """The document as text: keys sorted, ASCII only, two spaces, a line break at the end."""
    del pages  # every machine format is rendered with the same two arguments
    return json.dumps(document(checked), sort_keys=True, indent=2, allow_nan=False) + "\n"


def document(checked: Checked) -> dict[str, Any]:
    """The check as a tree of JSON types, configs by path, findings by place."""
    return {
        "format_version": FORMAT_VERSION,
        "lrdoctor_version": checked.version,
        "configs": [_config(one) for one in checked.configs],
        "skipped": [{"path": item.path, "reason": item.reason} for item in checked.skipped],
        "remarks": [
            {"text": remark.text, "path": remark.place.path, "line": remark.place.line}
            if remark.place is not None
            else {"text": remark.text, "path": None, "line": None}
            for remark in checked.remarks
        ],
        "passed_over": checked.passed_over,
        "unchanged": checked.unchanged,
    }


def _config(one: CheckedConfig) -> dict[str, Any]:
    fields = {
        "path": one.path,
        "framework": one.framework,
        "findings": [_finding(one, finding) for finding in one.findings],
        "left_out": list(one.left_out),
        **(_plan(one.plan) if one.plan is not None else _no_plan()),
    }
    plain, notes = strict(fields)
    return {**plain, "notes": notes}


def _plan(plan: Plan) -> dict[str, Any]:
    total = plan.total.value
    updates = total if plan.unit == "update" else _updates(plan)
    return {
        "framework_version": plan.version,
        "assumptions": dict(plan.assumptions),
        "optimizer": plan.optimizer.value if plan.optimizer is not None else None,
        "batch_size": _whole(plan.batch.total.value),
        "batch_size_range": [plan.batch.total.low, plan.batch.total.high],
        "total_steps": _whole(updates),
        "steps": _whole(total),
        "steps_range": [plan.total.low, plan.total.high],
        "step_unit": plan.unit,
        "schedule": schedule_fields(plan),
        "no_schedule_because": plan.unmade or None,
        "warmup_fraction": plan.warmup.fraction if plan.warmup is not None else None,
        "settings": _settings(plan),
        "reads": list(plan.reads),
    }


def _updates(plan: Plan) -> float | None:
    epochs, each = plan.total.value, plan.updates_per_epoch.value
    return epochs * each if epochs is not None and each is not None else None


def _no_plan() -> dict[str, Any]:
    names = ("framework_version", "optimizer", "batch_size", "total_steps", "schedule", "step_unit")
    return {**dict.fromkeys(names), "assumptions": {}, "settings": {}, "reads": []}


def _settings(plan: Plan) -> dict[str, Any]:
    batch: Batch = plan.batch
    named = {
        "learning_rate": plan.lr,
        "scheduler": plan.scheduler,
        "optimizer": plan.optimizer,
        "length": plan.length,
        "warmup": plan.warmup.asked if plan.warmup is not None else None,
        "horizon": plan.horizon,
        "per_device_batch": batch.per_device,
        "accumulation": batch.accumulation,
        "batch": batch.whole,
        **plan.facts,
    }
    return {name: _setting(setting) for name, setting in named.items() if setting is not None}


def _setting(setting: Setting[Any]) -> dict[str, Any]:
    place = setting.place
    return {
        "value": setting.value,
        "key": setting.key,
        "origin": setting.origin.kind,
        "note": setting.origin.note or None,
        "path": place.path if place is not None else None,
        "line": place.line if place is not None else None,
        "column": place.column if place is not None else None,
    }


def _finding(one: CheckedConfig, finding: Finding) -> dict[str, Any]:
    place, remedy = finding.place, finding.remedy
    return {
        "id": f"{finding.code}-{fingerprint(one, finding)[:10]}",
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity or "info",
        "message": finding.message,
        "first_step": _whole(finding.first_step),
        "last_step": _whole(finding.last_step),
        "evidence": dict(finding.evidence),
        "fix": None
        if remedy is None
        else {"summary": remedy.summary, "schedule": None, "torch_code": None, "config": remedy.code or None},
        "suppressed_by": finding.suppressed_by,
        "path": place.path if place is not None else None,
        "line": place.line if place is not None else None,
        "column": place.column if place is not None else None,
        "end_line": place.end_line if place is not None else None,
        "end_column": place.end_column if place is not None else None,
        "key": finding.key or None,
    }


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and float(value).is_integer() else value

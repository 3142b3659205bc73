"""A recommendation as text, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lrdoctor.recommend.advise import Advice
from lrdoctor.report import numbers as fmt
from lrdoctor.report.describe import describe
from lrdoctor.report.dialects import FrameworkCode, words_for
from lrdoctor.report.dialects.plan import Plan, torch_class
from lrdoctor.report.printable import printable
from lrdoctor.report.strict import strict

FORMAT_VERSION = 1
_SHAPES = {"linear": "a straight decline", "cosine": "a cosine", "steps": "two drops to a tenth"}


def as_text(advice: Advice) -> str:
    """What to use, why, and what is not known."""
    lines = [printable(f"{advice.facts.path}: {advice.about}")]
    lines += [f"  {label + ':':<10} {value}" for label, value in _rows(advice)]
    lines.append("  why:")
    lines += [f"    - {text}" for text in _reasons(advice)]
    if advice.missing:
        lines += ["  not known:", *(f"    - {text}" for text in advice.missing)]
    code = code_of(advice)
    if code is not None:
        lines += [f"  {code.label}:", *(f"    {line}" for line in code.code.split("\n"))]
    return "\n".join(lines) + "\n"


def as_markdown(advice: Advice) -> str:
    parts = [f"## {_escaped(advice.facts.path)}", f"For {advice.about}."]
    table = ["| | |", "| --- | --- |", *(f"| {label} | {_escaped(value)} |" for label, value in _rows(advice))]
    parts += ["\n".join(table), "\n".join(f"- {_escaped(text)}" for text in _reasons(advice))]
    if advice.missing:
        parts.append("Not known:\n\n" + "\n".join(f"- {_escaped(text)}" for text in advice.missing))
    code = code_of(advice)
    if code is not None:
        parts.append(f"{code.label}:\n\n```\n{code.code}\n```")
    return "\n\n".join(parts) + "\n"


def as_json(advices: list[Advice]) -> str:
    plain, notes = strict({"recommendations": [_fields(advice) for advice in advices]})
    document = {"format_version": FORMAT_VERSION, **plain, "notes": notes}
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"


def code_of(advice: Advice) -> FrameworkCode | None:
    """The schedule in the words of the framework, torch's where it has none."""
    facts = advice.facts
    if advice.schedule is None or advice.horizon_steps is None:
        return None
    plan = Plan(advice.schedule, "update", advice.horizon_steps, _per_epoch(advice), *torch_class(facts.optimizer))
    return words_for(facts.framework, plan) or words_for(None, plan)


def _per_epoch(advice: Advice) -> float | None:
    facts = advice.facts
    if facts.steps_per_epoch is None or not facts.batch_size or not advice.batch_size:
        return facts.steps_per_epoch
    return facts.steps_per_epoch * facts.batch_size / advice.batch_size


def _rows(advice: Advice) -> Iterator[tuple[str, str]]:
    peak = advice.peak
    shape = _SHAPES[advice.shape]
    floor = (
        "" if advice.shape == "steps" else " to 0" if not advice.floor else f" to {fmt.share(advice.floor)} of the peak"
    )
    ramp = " after a linear warmup" if advice.warmup_steps else ""
    yield "schedule", f"{shape}{floor}{ramp}"
    if peak is None:
        yield "peak LR", fmt.NOTHING
    else:
        yield "peak LR", f"start at {fmt.lr(peak.start)}, search from {fmt.lr(peak.low)} to {fmt.lr(peak.high)}"
    warmup = advice.warmup_steps
    yield "warmup", fmt.NOTHING if warmup is None else "none" if warmup == 0 else fmt.plural(warmup, "update")
    yield "length", fmt.NOTHING if advice.horizon_steps is None else fmt.plural(advice.horizon_steps, "update")
    if advice.batch_size is not None:
        yield "batch", fmt.count(advice.batch_size)


def _reasons(advice: Advice) -> Iterator[str]:
    for reason in advice.reasons:
        yield printable(f"{reason.text} ({reason.source})" if reason.source else reason.text)


def _fields(advice: Advice) -> dict[str, Any]:
    facts, peak, code = advice.facts, advice.peak, code_of(advice)
    return {
        "path": facts.path,
        "framework": facts.framework,
        "about": advice.about,
        "optimizer": facts.optimizer,
        "model": facts.model,
        "model_kind": facts.model_kind,
        "task": facts.task,
        "batch_size": advice.batch_size,
        "peak_lr": None if peak is None else {"start": peak.start, "low": peak.low, "high": peak.high},
        "warmup_steps": advice.warmup_steps,
        "horizon_steps": advice.horizon_steps,
        "schedule": None if advice.schedule is None else describe(advice.schedule, "update").fields(),
        "reasons": [{"text": reason.text, "source": reason.source or None} for reason in advice.reasons],
        "missing": list(advice.missing),
        "code": None if code is None else {"framework": code.framework, "code": code.code, "exact": code.exact},
    }


def _escaped(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")

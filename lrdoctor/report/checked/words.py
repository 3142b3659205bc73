"""A plan in words."""

from __future__ import annotations

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.count import Count
from lrdoctor.model.plan import Plan
from lrdoctor.report import numbers
from lrdoctor.report.words import UNIT_NAMES, count_words


def plan_words(plan: Plan) -> str:
    """ "transformers 4.57: cosine, peak 2e-5, warmup 10 % of the run, 500 updates, batch 64"."""
    head = f"{plan.framework} {plan.version}" if plan.version else plan.framework
    parts = [
        plan.scheduler.value if plan.scheduler is not None else "no scheduler",
        f"peak {numbers.lr(plan.lr.value)}" if plan.lr is not None else "",
        _warmup(plan),
        _length(plan),
        f"batch {_count(plan.batch.total)}" if plan.batch.total.low > 1 or plan.batch.total.known else "",
    ]
    return f"{head}: {', '.join(part for part in parts if part)}"


def headline(checked: Checked) -> str:
    """What was found, in one line."""
    active = [finding for one in checked.configs for finding in one.active]
    errors = sum(finding.severity == "error" for finding in active)
    warnings = sum(finding.severity == "warning" for finding in active)
    configs = numbers.plural(len(checked.configs), "config")
    told = f"{numbers.plural(errors, 'error')}, {numbers.plural(warnings, 'warning')}"
    found = f"{configs}, no finding"
    if active:
        found = f"Found {numbers.plural(len(active), 'finding')} ({told}) in {configs}"
    passed = f"; {numbers.plural(checked.passed_over, 'other file')} passed over" if checked.passed_over else ""
    same = f"; {numbers.plural(checked.unchanged, 'file')} unchanged" if checked.unchanged else ""
    return f"{found}{passed}{same}."


def open_questions(one: CheckedConfig) -> str:
    """What was not known, and how to say it; empty where nothing was missing."""
    plan = one.plan
    if plan is None or plan.total.known:
        return ""
    unknown = {name for name, value in plan.assumptions if value == "unknown"}
    options = [f"--{name.replace('_', '-')}" for name in ("dataset_size", "world_size") if name in unknown]
    return f"the length of the run is unknown ({' and '.join(options)} would tell)" if options else ""


def _warmup(plan: Plan) -> str:
    warmup = plan.warmup
    if warmup is None:
        return ""
    if warmup.fraction is not None and not warmup.steps.known:
        return f"warmup {numbers.share(warmup.fraction)} of the run"
    return f"warmup {_steps(warmup.steps, plan)}"


def _length(plan: Plan) -> str:
    if plan.total.known:
        return _steps(plan.total, plan)
    if plan.length is not None and "epoch" in plan.length.key.lower():
        return numbers.plural(plan.length.value, "epoch")
    return "length unknown"


def _steps(count: Count, plan: Plan) -> str:
    value = count.value
    return f"{count} {UNIT_NAMES[plan.unit][1]}" if value is None else count_words(value, plan.unit)


def _count(count: Count) -> str:
    return numbers.count(count.value) if count.known else str(count)

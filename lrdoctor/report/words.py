"""A diagnosis in words: the sentences shared by the terminal, Markdown and HTML reports."""

from __future__ import annotations

import math

import numpy as np

from lrdoctor.model.diagnosis import Counterfactual, Diagnosis, Trained
from lrdoctor.model.finding import SEVERITIES, Finding
from lrdoctor.model.identification import Fit
from lrdoctor.model.trajectory import StepUnit
from lrdoctor.report import numbers
from lrdoctor.report.printable import printable

UNIT_NAMES: dict[str, tuple[str, str]] = {
    "update": ("update", "updates"),
    "epoch": ("epoch", "epochs"),
    "sample": ("sample", "samples"),
    "env-step": ("environment step", "environment steps"),
    "row": ("logged row", "logged rows"),
    "unknown": ("step", "steps"),
}
FACTOR_WORTH_SAYING = 1.1  # chosen by us: below 10 % the total LR says nothing about the fault
TELLING = ("step_size", "milestones", "gamma", "power", "T_0", "T_mult")  # parameters that peak and length do not imply
TIGHT_FIT = 1e-3  # chosen by us: below 0.1 % of the peak nobody asks for the digits


def verdict_sentence(diagnosis: Diagnosis) -> str:
    """The run in one sentence: the fault and its factor, or what the LR equals, or why nothing can be said."""
    if diagnosis.verdict == "lr-faulty":
        return _fault_sentence(diagnosis)
    if diagnosis.verdict == "lr-healthy":
        return _healthy_sentence(diagnosis)
    return f"not enough was logged to say: {_missing(diagnosis)}"


def schedule_words(fit: Fit, step_unit: StepUnit) -> str:
    """The schedule as a person would name it: "OneCycleLR stepped per epoch, peak 0.1, 10,000 updates planned"."""
    if fit.family == "Unknown":
        return "no known schedule"
    if fit.family == "Constant":
        return ", ".join([f"constant {numbers.lr(fit.peak_lr)}", *_warmup(fit, step_unit)])
    head = fit.family if fit.stepped is None else f"{fit.family} stepped per {fit.stepped}"
    horizon = planned_steps(fit)
    planned = [] if horizon is None else [f"{count_words(horizon, step_unit)} planned"]
    return ", ".join([head, f"peak {numbers.lr(fit.peak_lr)}", *_shape(fit), *_warmup(fit, step_unit), *planned])


def counterfactual_words(counterfactual: Counterfactual) -> str:
    """What the fix would have done to the loss, never without its interval; empty where no fix was needed."""
    if counterfactual.status == "not-needed":
        return ""
    if counterfactual.status == "refused":
        return f"the loss with the fix was not estimated: {counterfactual.reason or 'no reason was recorded'}"
    estimate, interval = counterfactual.estimated_final_loss, counterfactual.interval_90
    if estimate is None or interval is None or not all(map(math.isfinite, (estimate, *interval))):
        return _direction_words(counterfactual)
    observed = counterfactual.observed_final_loss
    instead = "" if observed is None or not math.isfinite(observed) else f" instead of {numbers.loss(observed)}"
    share = counterfactual.prior_share
    prior = "" if share is None or not math.isfinite(share) else f"; {100 * share:.0f} % of that rests on the prior"
    return (
        f"with the fix the final loss would have been {numbers.loss(estimate)} "
        f"(90 % interval {numbers.loss(interval[0])} to {numbers.loss(interval[1])}){instead}{prior}"
    )


def trained_words(trained: Trained) -> str:
    """How a real training under both schedules came out, with the interval where there is one."""
    words = {"lower": "the fix ends lower", "higher": "the fix ends higher", "undecided": "nothing is decided"}
    text, interval = words[trained.direction], trained.gain_95
    if interval is None:
        return text
    decided = trained.direction != "undecided"
    size = f" by {abs(trained.gain):.4f}" if decided else f", the gain being {trained.gain:+.4f}"
    return f"{text}{size} (95 % interval of the gain {interval[0]:+.4f} to {interval[1]:+.4f})"


def trained_caveat(trained: Trained, run_updates: int) -> str:
    """What the training says of the run, and what it does not."""
    if trained.updates < run_updates:
        return (
            f"{count_words(run_updates, 'update')} were played in {trained.updates:,}: so short a training gains more "
            "from a high LR than the run did, so that even the direction may be another"
        )
    return "another model than the run's gains another amount; the direction mostly carries over"


def finding_words(finding: Finding) -> str:
    """One line: "LR101 onecycle-stepped-per-epoch error: the scheduler ..."."""
    head = f"{finding.code} {finding.name} {finding.severity or 'info'}"
    return f"{head}: {printable(finding.message)}"


def planned_steps(fit: Fit) -> float | None:
    """The length the schedule was built for, in trajectory steps; None where it has no end.

    A OneCycleLR stepped once per epoch whose `total_steps` reaches the number of updates was built in updates: then
    `total_steps` itself is that length, not `total_steps` epochs (the contract's own example of LR101).
    """
    ticks = fit.schedule.horizon
    counts_updates = fit.family == "OneCycleLR" and fit.stepped == "epoch" and fit.steps_per_tick > 1
    if counts_updates and ticks is not None and ticks >= 0.9 * (fit.last_step + 1):
        return ticks
    return fit.horizon_steps


def lead_finding(diagnosis: Diagnosis) -> Finding | None:
    """The active finding that matters most: severity first, then the order the rules gave."""
    ranked = sorted(diagnosis.active, key=severity_rank)
    return ranked[0] if ranked else None


def severity_rank(finding: Finding) -> int:
    """0 for an error, 1 for a warning, 2 for info."""
    return SEVERITIES.index(finding.severity or "info")


def total_lr_factor(diagnosis: Diagnosis) -> float | None:
    """Summed executed LR over summed LR of the remedy at the same steps; None without a remedy to compare with."""
    lead, remedy = diagnosis.trajectory.lead, diagnosis.remedy
    if lead is None or remedy is None or remedy.schedule is None or not len(lead.steps):
        return None
    wanted, executed = np.sum(remedy.schedule.lr_at(lead.steps)), np.sum(lead.lr)
    factor = float(executed / wanted) if wanted > 0 else math.nan
    return factor if math.isfinite(factor) and factor > 0 else None


def factor_words(diagnosis: Diagnosis) -> str:
    """ "summed over the run, 12 times less LR than the repaired schedule gives"; empty where the two are alike."""
    factor = total_lr_factor(diagnosis)
    if factor is None or 1 / FACTOR_WORTH_SAYING < factor < FACTOR_WORTH_SAYING:
        return ""
    times, side = (factor, "more") if factor > 1 else (1 / factor, "less")
    return f"summed over the run, {times:.3g} times {side} LR than the repaired schedule gives"


def count_words(steps: float, step_unit: StepUnit) -> str:
    """A number of steps with its unit: "10,000 updates"."""
    singular, plural = UNIT_NAMES[step_unit]
    return numbers.plural(steps, singular, plural)


def _fault_sentence(diagnosis: Diagnosis) -> str:
    finding = lead_finding(diagnosis)
    if finding is None:
        return "the learning rate is at fault"
    measured = printable(finding.measured).rstrip(". ")
    factor = factor_words(diagnosis)
    return f"{finding.name} ({finding.code}): {measured}{f'; {factor}' if factor else ''}"


def _healthy_sentence(diagnosis: Diagnosis) -> str:
    fits = [group.fit for group in diagnosis.identification.groups]
    if not fits:
        return "no fault was found: the LR is not your problem"
    unit = diagnosis.trajectory.step_unit
    others = f" (first of {len(fits)} parameter groups)" if len(fits) > 1 else ""
    verb = "equals" if all(fit.exact or fit.fit_error <= TIGHT_FIT for fit in fits) else "follows"
    return f"executed LR {verb} {_reading(fits[0], unit)}{others} {_closeness(fits)}: the LR is not your problem"


def _reading(fit: Fit, unit: StepUnit) -> str:
    """Family, warmup, peak and planned length: all that the sentence vouches for."""
    warmup = _warmup(fit, unit)
    if fit.family == "Constant":
        return " with ".join([f"a constant {numbers.lr(fit.peak_lr)}", *warmup])
    horizon = planned_steps(fit)
    plan = [] if horizon is None else [f"{count_words(horizon, unit)} planned"]
    told = ", ".join([f"peak {numbers.lr(fit.peak_lr)}", *plan])
    return f"{' with '.join([fit.family, *warmup])} ({told})"


def _closeness(fits: list[Fit]) -> str:
    """How far any logged point is off at most, as a share of the peak: rounded up, never down."""
    if all(fit.exact for fit in fits):
        return "to the rounding of the log"
    worst = max(fit.fit_error for fit in fits)
    if worst <= TIGHT_FIT:
        return "within 0.1 % of its peak"
    return f"within {numbers.rounded_up(100 * worst)} % of its peak, an approximate fit"


def _missing(diagnosis: Diagnosis) -> str:
    finding = lead_finding(diagnosis)
    if finding is not None:
        return printable(finding.measured).rstrip(". ")
    lead = diagnosis.trajectory.lead
    if lead is None:
        return "no learning rate was logged"
    return f"no known schedule explains the {len(lead.lr):,} logged LR points"


def _shape(fit: Fit) -> list[str]:
    params = fit.schedule.params()
    return [f"{key} {_value(params[key])}" for key in TELLING if key in params]


def _value(value: object) -> str:
    return numbers.lr(value) if isinstance(value, float) else str(value)


def _warmup(fit: Fit, step_unit: StepUnit) -> list[str]:
    if fit.warmup is None:
        return []
    singular, plural = UNIT_NAMES[step_unit]
    return [numbers.plural(fit.warmup_span, f"warmup {singular}", f"warmup {plural}")]


def _direction_words(counterfactual: Counterfactual) -> str:
    if counterfactual.direction in ("lower", "higher"):
        why = f": {counterfactual.reason}" if counterfactual.reason else ""
        told = f"with the fix the final loss would have been {counterfactual.direction}"
        return f"{told}; by how much cannot be told{why}"
    return "what the fix would have done to the final loss cannot be told"

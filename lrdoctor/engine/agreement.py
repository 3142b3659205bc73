"""Do the settings, the checkpoints and the log of a run say the same? What is said twice is compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.identify.declared import stated_whole
from lrdoctor.model.agreement import Claim, Comparison, Topic
from lrdoctor.model.identification import Fit, Identification
from lrdoctor.model.run import Checkpoint, Hint, Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import Warmup

SAME = 0.02
"""Numbers that differ by no more than this fraction agree (chosen by us: above what logs round)."""
LOG = "log"
# The families a scheduler's declared name may stand for; a name that is not here is not compared.
_NAMES: tuple[tuple[str, str], ...] = (
    ("cosine_with_restarts", "CosineAnnealingWarmRestarts"),
    ("cosineannealingwarmrestarts", "CosineAnnealingWarmRestarts"),
    ("cosine", "CosineAnnealingLR"),
    ("linearlr", "LinearLR"),
    ("linear", "LinearLR"),
    ("onecycle", "OneCycleLR"),
    ("one_cycle", "OneCycleLR"),
    ("polynomial", "PolynomialLR"),
    ("multistep", "steps"),
    ("step", "steps"),
    ("exponential", "steps"),
    ("constant", "Constant"),
    ("inverse_sqrt", "InverseSqrt"),
)
# One drop, or drops of one factor, may be either of these.
_ALIKE = {"StepLR": "steps", "MultiStepLR": "steps", "ExponentialLR": "steps", "ConstantLR": "Constant"}


@dataclass(frozen=True, slots=True, eq=False)
class _Sources:
    """`fit` is the reading of the log where it is sure, `point` the last checkpoint with a scheduler that says much."""

    run: Run
    trajectory: Trajectory
    fit: Fit | None
    point: Checkpoint | None
    stated: Schedule | None

    @property
    def per_tick(self) -> float:
        return self.fit.steps_per_tick if self.fit is not None else 1.0


def comparisons(run: Run, trajectory: Trajectory, identification: Identification) -> tuple[Comparison, ...]:
    """One entry for each thing that at least two sources speak of."""
    lead = identification.lead
    whole_run = lead is not None and len(lead.fits) == 1 and lead.fit.sure
    fit = lead.fit if lead is not None and whole_run else None
    stated = [(point, stated_whole(point.scheduler)) for point in run.checkpoints if point.scheduler is not None]
    point, schedule = next((pair for pair in reversed(stated) if pair[1] is not None), (None, None))
    sources = _Sources(run, trajectory, fit, point, schedule)
    found = (_peak(sources), _family(sources), _horizon(sources), _warmup(sources), _batch(sources), _updates(sources))
    return tuple(one for one in found if one is not None and len(one.claims) > 1)


def disagreements(run: Run, trajectory: Trajectory, identification: Identification) -> tuple[Comparison, ...]:
    return tuple(one for one in comparisons(run, trajectory, identification) if not one.agree)


def _compared(
    topic: Topic, declared: Claim | None, checkpoint: Claim | None, executed: Claim | None, slack: float = 0.0
) -> Comparison:
    values = [claim.value for claim in (declared, checkpoint, executed) if claim is not None]
    return Comparison(
        topic, declared, checkpoint, executed, all(_same(values[0], value, slack) for value in values[1:])
    )


def _same(one: float | str, other: float | str, slack: float) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return abs(one - other) <= max(slack, SAME * max(abs(one), abs(other)))


def _said(hint: Hint, value: float | str) -> Claim:
    return Claim(value, f"{hint.key} in {hint.path}")


def _side_hint(sources: _Sources, name: str) -> Hint | None:
    """The first hint of that name that no checkpoint gave."""
    saved = {point.path for point in sources.run.checkpoints}
    return next((hint for hint in sources.run.hints if hint.name == name and hint.path not in saved), None)


def _saved_hint(sources: _Sources, name: str) -> Hint | None:
    saved = {point.path for point in sources.run.checkpoints}
    return next((hint for hint in sources.run.hints if hint.name == name and hint.path in saved), None)


def _number(hint: Hint | None) -> float | None:
    good = hint is not None and isinstance(hint.value, int | float) and not isinstance(hint.value, bool)
    return float(hint.value) if good and hint is not None and isinstance(hint.value, int | float) else None


def _peak(sources: _Sources) -> Comparison:
    hint, fit, stated = _side_hint(sources, "lr"), sources.fit, sources.stated
    lr = _number(hint)
    auto = sources.run.framework == "ultralytics"  # its automatic choice of the optimizer overrides the setting
    declared = _said(hint, lr) if hint is not None and lr is not None and not auto else None
    saved = Claim(stated.peak_lr, sources.point.path) if stated is not None and sources.point is not None else None
    return _compared("peak_lr", declared, saved, Claim(fit.peak_lr, LOG) if fit is not None else None)


def _family(sources: _Sources) -> Comparison:
    hint, fit, stated, point = _side_hint(sources, "scheduler"), sources.fit, sources.stated, sources.point
    named = _named(hint.value) if hint is not None else None
    claims = [
        _said(hint, named) if hint is not None and named is not None else None,
        Claim(stated.family, point.path) if stated is not None and point is not None else None,
        Claim(fit.family, LOG) if fit is not None and fit.exact else None,
    ]
    kinds = {_ALIKE.get(str(claim.value), claim.value) for claim in claims if claim is not None}
    return Comparison("schedule", claims[0], claims[1], claims[2], len(kinds) < 2)


def _named(value: object) -> str | None:
    word = str(value).lower()
    return next((family for start, family in _NAMES if word.startswith(start)), None)


def _horizon(sources: _Sources) -> Comparison:
    """The length the schedule was built for, in the run's steps."""
    run, trajectory, fit = sources.run, sources.trajectory, sources.fit
    hint = _side_hint(sources, "max_steps") or _side_hint(sources, "epochs")
    plan = trajectory.planned_steps
    declared = _said(hint, float(plan)) if hint is not None and plan is not None else None
    stated, point = sources.stated, sources.point
    length = stated.horizon if stated is not None else None
    saved = Claim(length * sources.per_tick, point.path) if length is not None and point is not None else None
    planned = next((one for one in reversed(run.checkpoints) if one.max_steps), None)
    if saved is None and planned is not None and planned.max_steps and declared is None:
        saved = Claim(float(planned.max_steps), planned.path)
    horizon = fit.horizon_steps if fit is not None and fit.exact else None
    executed = Claim(horizon, LOG) if horizon is not None else None
    return _compared("horizon_steps", declared, saved, executed, slack=max(2.0, 2.0 * sources.per_tick))


def _warmup(sources: _Sources) -> Comparison:
    trajectory, fit = sources.trajectory, sources.fit
    declared = _declared_warmup(sources)
    stated, point = sources.stated, sources.point
    saved = None
    if stated is not None and point is not None and stated.family != "OneCycleLR":
        ramp = stated.steps if isinstance(stated, Warmup) else 0.0
        saved = Claim(ramp * sources.per_tick, point.path)
    executed = None
    if fit is not None and fit.exact and fit.family != "OneCycleLR" and _from_the_start(trajectory):
        executed = Claim(fit.warmup_span, LOG)
    return _compared("warmup_steps", declared, saved, executed, slack=max(2.0, sources.per_tick))


def _declared_warmup(sources: _Sources) -> Claim | None:
    """In steps; the share of a one-cycle policy's rise is no warmup."""
    trajectory, run = sources.trajectory, sources.run
    if trajectory.step_unit not in ("update", "epoch") or run.framework in ("ultralytics", "timm"):
        return None  # those two have floors and prefixes of their own
    per_epoch = trajectory.steps_per_epoch if trajectory.step_unit == "update" else 1.0
    scale = {
        "warmup_steps": 1.0 if trajectory.step_unit == "update" else None,
        "warmup_epochs": per_epoch,
        "warmup_ratio": float(trajectory.planned_steps) if trajectory.planned_steps else None,
    }
    for name, factor in scale.items():
        hint = _side_hint(sources, name)
        value = _number(hint)
        if hint is not None and value and factor is not None and not hint.key.endswith("pct_start"):
            return _said(hint, value * factor)
    return None


def _from_the_start(trajectory: Trajectory) -> bool:
    """Whether the log begins early enough to show a warmup."""
    lead = trajectory.lead
    return lead is not None and len(lead.steps) > 1 and float(lead.steps[0]) <= float(np.median(np.diff(lead.steps)))


def _batch(sources: _Sources) -> Comparison:
    side, saved = _side_hint(sources, "batch_size"), _saved_hint(sources, "batch_size")
    one, other = _number(side), _number(saved)
    alike = side is not None and saved is not None and side.detail == saved.detail
    return _compared(
        "batch_size",
        _said(side, one) if side is not None and one is not None else None,
        Claim(other, saved.path) if alike and saved is not None and other is not None else None,
        None,
    )


def _updates(sources: _Sources) -> Comparison | None:
    """The counters of the last checkpoint: its own, its optimizer's, and how far the log reaches."""
    trajectory, lead = sources.trajectory, sources.trajectory.lead
    point = next((one for one in reversed(sources.run.checkpoints) if one.global_step is not None), None)
    if point is None or trajectory.step_unit != "update":
        return None
    k, g = point.optimizer.step if point.optimizer is not None else None, float(point.global_step or 0)
    gap = float(np.max(np.diff(lead.steps))) + 1.0 if lead is not None and len(lead.steps) > 1 else 1.0
    beyond = lead is not None and len(lead.steps) > 1 and g > trajectory.steps + gap
    declared = Claim(g, f"its own counter in {point.path}")
    saved = Claim(float(k), f"its optimizer's counter in {point.path}") if k is not None else None
    executed = Claim(float(trajectory.steps), LOG) if beyond else None
    return Comparison("updates", declared, saved, executed, not beyond and (k is None or abs(k - g) <= 1.0))

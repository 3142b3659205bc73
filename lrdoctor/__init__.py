"""lrdoctor: find learning-rate schedule faults in training logs and checkpoints.

The public names, for scripts and rule files. Importing this module is cheap: each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers alone; `_HOME` is what is loaded
    from lrdoctor import synth as synth
    from lrdoctor.auditing import audit as audit
    from lrdoctor.callbacks.guarding import guard as guard
    from lrdoctor.checking import check as check
    from lrdoctor.engine.apart import Apart as Apart
    from lrdoctor.engine.apart import first_apart as first_apart
    from lrdoctor.engine.apart import worst_apart as worst_apart
    from lrdoctor.engine.config_findings import config_finding as config_finding
    from lrdoctor.engine.config_findings import planned_lrs as planned_lrs
    from lrdoctor.engine.counts import Counts as Counts
    from lrdoctor.engine.counts import counts_of as counts_of
    from lrdoctor.engine.counts import planned_ticks as planned_ticks
    from lrdoctor.engine.counts import steps_per_update as steps_per_update
    from lrdoctor.engine.course import Contrast as Contrast
    from lrdoctor.engine.course import Course as Course
    from lrdoctor.engine.course import contrast as contrast
    from lrdoctor.engine.course import course_of as course_of
    from lrdoctor.engine.course import updates_of as updates_of
    from lrdoctor.engine.evidence import BasePlan as BasePlan
    from lrdoctor.engine.evidence import Sibling as Sibling
    from lrdoctor.engine.jumps import Jump as Jump
    from lrdoctor.engine.jumps import loss_jumps as loss_jumps
    from lrdoctor.engine.metrics import better as better
    from lrdoctor.engine.metrics import trend as trend
    from lrdoctor.engine.models import fine_tunes as fine_tunes
    from lrdoctor.engine.models import is_transformer as is_transformer
    from lrdoctor.engine.models import transformer_of as transformer_of
    from lrdoctor.engine.optimizers import adam_warmup as adam_warmup
    from lrdoctor.engine.optimizers import optimizer_kind as optimizer_kind
    from lrdoctor.engine.optimizers import optimizer_of as optimizer_of
    from lrdoctor.engine.remedies import stretched as stretched
    from lrdoctor.engine.remedies import with_horizon as with_horizon
    from lrdoctor.engine.rule import Case as Case
    from lrdoctor.engine.rule import rule as rule
    from lrdoctor.engine.stated import stated_in_steps as stated_in_steps
    from lrdoctor.identify.declared import stated_whole as stated_whole
    from lrdoctor.model.count import Count as Count
    from lrdoctor.model.finding import Finding as Finding
    from lrdoctor.model.finding import Remedy as Remedy
    from lrdoctor.model.identification import Fit as Fit
    from lrdoctor.model.identification import Identification as Identification
    from lrdoctor.model.plan import Broken as Broken
    from lrdoctor.model.plan import Ignored as Ignored
    from lrdoctor.model.plan import Misread as Misread
    from lrdoctor.model.plan import Plan as Plan
    from lrdoctor.model.plan import Setting as Setting
    from lrdoctor.model.run import Checkpoint as Checkpoint
    from lrdoctor.model.run import Hint as Hint
    from lrdoctor.model.run import OptimizerState as OptimizerState
    from lrdoctor.model.run import Run as Run
    from lrdoctor.model.run import Scalar as Scalar
    from lrdoctor.model.run import ScalerState as ScalerState
    from lrdoctor.model.run import SchedulerState as SchedulerState
    from lrdoctor.model.schedule import Schedule as Schedule
    from lrdoctor.model.trajectory import Curve as Curve
    from lrdoctor.model.trajectory import GroupTrajectory as GroupTrajectory
    from lrdoctor.model.trajectory import LossCurve as LossCurve
    from lrdoctor.model.trajectory import Trajectory as Trajectory
    from lrdoctor.readers import read as read
    from lrdoctor.report.notebook import to_html as to_html
    from lrdoctor.schedules import Constant as Constant
    from lrdoctor.schedules import CosineAnnealingLR as CosineAnnealingLR
    from lrdoctor.schedules import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
    from lrdoctor.schedules import CyclicLR as CyclicLR
    from lrdoctor.schedules import ExponentialLR as ExponentialLR
    from lrdoctor.schedules import InverseSqrt as InverseSqrt
    from lrdoctor.schedules import LinearLR as LinearLR
    from lrdoctor.schedules import MultiStepLR as MultiStepLR
    from lrdoctor.schedules import OneCycleLR as OneCycleLR
    from lrdoctor.schedules import Overlaid as Overlaid
    from lrdoctor.schedules import PolynomialLR as PolynomialLR
    from lrdoctor.schedules import RangeTest as RangeTest
    from lrdoctor.schedules import ReduceLROnPlateau as ReduceLROnPlateau
    from lrdoctor.schedules import Sequence as Sequence
    from lrdoctor.schedules import StepLR as StepLR
    from lrdoctor.schedules import Stepped as Stepped
    from lrdoctor.schedules import Unknown as Unknown
    from lrdoctor.schedules import Warmup as Warmup
    from lrdoctor.schedules import WarmupStableDecay as WarmupStableDecay
    from lrdoctor.schedules.scaled import scaled as scaled
    from lrdoctor.simulate.range_test import range_test as range_test


__version__ = "0.1.0"

_HOME = {
    "Apart": "lrdoctor.engine.apart",
    "BasePlan": "lrdoctor.engine.evidence",
    "Broken": "lrdoctor.model.plan",
    "Case": "lrdoctor.engine.rule",
    "Checkpoint": "lrdoctor.model.run",
    "Constant": "lrdoctor.schedules",
    "Contrast": "lrdoctor.engine.course",
    "CosineAnnealingLR": "lrdoctor.schedules",
    "CosineAnnealingWarmRestarts": "lrdoctor.schedules",
    "Count": "lrdoctor.model.count",
    "Counts": "lrdoctor.engine.counts",
    "Course": "lrdoctor.engine.course",
    "Curve": "lrdoctor.model.trajectory",
    "CyclicLR": "lrdoctor.schedules",
    "ExponentialLR": "lrdoctor.schedules",
    "Finding": "lrdoctor.model.finding",
    "Fit": "lrdoctor.model.identification",
    "GroupTrajectory": "lrdoctor.model.trajectory",
    "Hint": "lrdoctor.model.run",
    "Identification": "lrdoctor.model.identification",
    "Ignored": "lrdoctor.model.plan",
    "InverseSqrt": "lrdoctor.schedules",
    "Jump": "lrdoctor.engine.jumps",
    "LinearLR": "lrdoctor.schedules",
    "LossCurve": "lrdoctor.model.trajectory",
    "Misread": "lrdoctor.model.plan",
    "MultiStepLR": "lrdoctor.schedules",
    "OneCycleLR": "lrdoctor.schedules",
    "OptimizerState": "lrdoctor.model.run",
    "Overlaid": "lrdoctor.schedules",
    "Plan": "lrdoctor.model.plan",
    "PolynomialLR": "lrdoctor.schedules",
    "RangeTest": "lrdoctor.schedules",
    "ReduceLROnPlateau": "lrdoctor.schedules",
    "Remedy": "lrdoctor.model.finding",
    "Run": "lrdoctor.model.run",
    "Scalar": "lrdoctor.model.run",
    "ScalerState": "lrdoctor.model.run",
    "Schedule": "lrdoctor.model.schedule",
    "SchedulerState": "lrdoctor.model.run",
    "Sequence": "lrdoctor.schedules",
    "Setting": "lrdoctor.model.plan",
    "Sibling": "lrdoctor.engine.evidence",
    "StepLR": "lrdoctor.schedules",
    "Stepped": "lrdoctor.schedules",
    "Trajectory": "lrdoctor.model.trajectory",
    "Unknown": "lrdoctor.schedules",
    "Warmup": "lrdoctor.schedules",
    "WarmupStableDecay": "lrdoctor.schedules",
    "adam_warmup": "lrdoctor.engine.optimizers",
    "audit": "lrdoctor.auditing",
    "better": "lrdoctor.engine.metrics",
    "check": "lrdoctor.checking",
    "config_finding": "lrdoctor.engine.config_findings",
    "contrast": "lrdoctor.engine.course",
    "counts_of": "lrdoctor.engine.counts",
    "course_of": "lrdoctor.engine.course",
    "fine_tunes": "lrdoctor.engine.models",
    "first_apart": "lrdoctor.engine.apart",
    "guard": "lrdoctor.callbacks.guarding",
    "is_transformer": "lrdoctor.engine.models",
    "loss_jumps": "lrdoctor.engine.jumps",
    "optimizer_kind": "lrdoctor.engine.optimizers",
    "optimizer_of": "lrdoctor.engine.optimizers",
    "planned_lrs": "lrdoctor.engine.config_findings",
    "planned_ticks": "lrdoctor.engine.counts",
    "range_test": "lrdoctor.simulate.range_test",
    "read": "lrdoctor.readers",
    "rule": "lrdoctor.engine.rule",
    "scaled": "lrdoctor.schedules.scaled",
    "stated_in_steps": "lrdoctor.engine.stated",
    "stated_whole": "lrdoctor.identify.declared",
    "steps_per_update": "lrdoctor.engine.counts",
    "stretched": "lrdoctor.engine.remedies",
    "synth": "lrdoctor.synth",
    "to_html": "lrdoctor.report.notebook",
    "transformer_of": "lrdoctor.engine.models",
    "trend": "lrdoctor.engine.metrics",
    "updates_of": "lrdoctor.engine.course",
    "with_horizon": "lrdoctor.engine.remedies",
    "worst_apart": "lrdoctor.engine.apart",
}
_MODULES = frozenset({"synth"})  # public names that are modules themselves

__all__ = sorted(_HOME)  # noqa: PLE0605  # the table above is the single list of public names


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'lrdoctor' has no attribute {name!r}")
    module = import_module(home)
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

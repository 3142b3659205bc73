"""Evidence by type: which part of an `Evidence` an annotation asks for."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Union, get_args, get_origin

from lrdoctor.engine.evidence import BasePlan, ConfigEvidence, Evidence, Sibling
from lrdoctor.model.identification import Fit, Identification
from lrdoctor.model.plan import Broken, Plan
from lrdoctor.model.run import Checkpoint, Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import GroupTrajectory, LossCurve, Trajectory
from lrdoctor.schedules import Unknown


@dataclass(frozen=True, slots=True)
class Need:
    """One piece of evidence: `find` returns it, or None where the run has none; `label` as a person calls it.

    `beside` marks the runs beside this one.
    """

    label: str
    look: Callable[[Any], Any]
    optional: bool = False
    beside: bool = False
    of: type[Evidence] | type[ConfigEvidence] = Evidence

    def find(self, evidence: Evidence | ConfigEvidence) -> Any:
        """None for evidence of the other kind too: a config has no run, and a run no plan."""
        return self.look(evidence) if isinstance(evidence, self.of) else None


def _fit(evidence: Evidence) -> Fit | None:
    """The lead group's fit in force at the end."""
    lead = evidence.identification.lead
    return lead.fit if lead is not None else None


def _schedule(family: type[Schedule]) -> Callable[[Evidence], Schedule | None]:
    """The lead fit's main schedule where it is of that family; plain `Schedule` takes any that was recognised."""

    def find(evidence: Evidence) -> Schedule | None:
        fit = _fit(evidence)
        if fit is None or not isinstance(fit.schedule, family):
            return None
        return None if family is Schedule and isinstance(fit.schedule, Unknown) else fit.schedule

    return find


_BY_TYPE: dict[Any, Need] = {
    Run: Need("a run", lambda evidence: evidence.run),
    Trajectory: Need("a trajectory", lambda evidence: evidence.trajectory),
    Identification: Need("an identification", lambda evidence: evidence.identification),
    GroupTrajectory: Need("a logged learning rate", lambda evidence: evidence.trajectory.lead),
    LossCurve: Need("a logged loss", lambda evidence: evidence.trajectory.loss),
    Fit: Need("a logged learning rate", _fit),
    Checkpoint: Need("a checkpoint", lambda evidence: next(reversed(evidence.run.checkpoints), None)),
    tuple[Checkpoint, ...]: Need("a checkpoint", lambda evidence: evidence.run.checkpoints or None),
    Sibling: Need("a run", lambda evidence: evidence.as_sibling),
    tuple[Sibling, ...]: Need("another run beside it", lambda evidence: evidence.siblings or None, beside=True),
    Plan: Need("a training config", lambda evidence: evidence.plan, of=ConfigEvidence),
    Broken: Need("a training config that cannot be read", lambda evidence: evidence.broken, of=ConfigEvidence),
    BasePlan: Need(
        "a config to compare with",
        lambda evidence: BasePlan(evidence.base) if evidence.base is not None else None,
        of=ConfigEvidence,
    ),
}


def need_of(annotation: Any) -> Need | None:
    """The need an annotation states; None where it is no kind of evidence."""
    if get_origin(annotation) in (types.UnionType, Union):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        need = need_of(inner[0]) if len(inner) == 1 else None
        return None if need is None else replace(need, optional=True)
    if isinstance(annotation, type) and issubclass(annotation, Schedule):
        label = "a recognised schedule" if annotation is Schedule else f"a {annotation.__name__}"
        return Need(label, _schedule(annotation))
    try:
        return _BY_TYPE.get(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return None

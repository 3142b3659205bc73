"""What `lrdoctor simulate` answers about one run: estimates under given schedules, and a search for a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np

from lrdoctor.model.diagnosis import Counterfactual
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.simulate import gate
from lrdoctor.simulate.estimate import ask, evaluator
from lrdoctor.simulate.executed import executed_lr, warmup_updates
from lrdoctor.simulate.fitted import Read, fit_run
from lrdoctor.simulate.search import FAMILIES, Search, search
from lrdoctor.simulate.spec import Frame, schedule_of
from lrdoctor.simulate.user_library import known_models


class Examined(Protocol):
    """A run as the audit examines it."""

    @property
    def run(self) -> Run: ...
    @property
    def trajectory(self) -> Trajectory: ...
    @property
    def identification(self) -> Identification: ...


@dataclass(frozen=True, slots=True)
class Question:
    """SPECs to estimate, and whether and how to search."""

    specs: tuple[str, ...]
    optimize: bool = False
    families: tuple[str, ...] = ()
    keep_peak: bool = False
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    spec: str
    schedule: Schedule
    counterfactual: Counterfactual


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """`search` is None where none was asked for or it was `refused`, with the reason."""

    path: str
    steps: int
    estimates: tuple[Estimate, ...]
    device: str
    seconds: float
    search: Search | None = None
    refused: str | None = None


def answer(examined: Examined, question: Question, siblings: Sequence[Examined] = ()) -> Answer:
    """Raises `UsageError` for a SPEC that is wrong or a device that is absent."""
    evaluate, device = evaluator(question.device)
    frame = frame_of(examined)
    schedules = [(spec, schedule_of(spec, frame)) for spec in question.specs]
    began = perf_counter()
    fitted = fit_run(_read(examined), known_models(), [_read(one) for one in siblings])
    estimates = []
    for spec, schedule in schedules:
        found = fitted if isinstance(fitted, str) else ask(fitted, schedule, evaluate)
        if isinstance(found, str):
            found = Counterfactual("refused", reason=found)
        estimates.append(Estimate(spec, schedule, replace(found, device=device, seconds=perf_counter() - began)))
    result, refused = None, None
    if question.optimize:
        began = perf_counter()
        refused = fitted if isinstance(fitted, str) else fitted.doubt
        if not isinstance(fitted, str) and refused is None:
            families = question.families or FAMILIES
            result = search(fitted, families, keep_peak=question.keep_peak, evaluate=evaluate)
    path, steps = examined.run.path, examined.trajectory.steps
    return Answer(path, steps, tuple(estimates), device, perf_counter() - began, result, refused)


def _read(examined: Examined) -> Read:
    return Read(examined.run, examined.trajectory, examined.identification)


def frame_of(examined: Examined) -> Frame:
    """What a SPEC leaves out. Where no LR was logged, or far too many updates, the gate refuses later."""
    trajectory = examined.trajectory
    peak = trajectory.peak_lr
    if trajectory.lead is None or not np.isfinite(peak) or not peak > 0.0 or trajectory.steps > gate.LONGEST:
        return Frame(max(trajectory.steps, 1), 1e-3, 0)
    lr = executed_lr(trajectory, examined.identification)
    return Frame(len(lr), float(lr.max()), warmup_updates(lr, examined.identification), trajectory.steps_per_epoch)

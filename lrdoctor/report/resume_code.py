"""For a broken resume: the exact state to load at the checkpoint in question, as data and as code."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lrdoctor.errors import LrdoctorError
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Finding
from lrdoctor.model.run import Checkpoint
from lrdoctor.resume.plan import planned, position, steps_of
from lrdoctor.resume.repair import scheduler_state_at
from lrdoctor.resume.torch_state import NoTorchStateError, State, group_entries, jsonable, python_text


@dataclass(frozen=True, slots=True)
class ResumeState:
    """`state` is the scheduler's state_dict at the checkpoint, `groups` what its optimizer's groups must hold."""

    checkpoint: str
    run: str
    state: State
    groups: tuple[State, ...]

    def fields(self) -> dict[str, object]:
        """For the JSON report."""
        return {
            "checkpoint": self.checkpoint,
            "scheduler": jsonable(self.state),
            "param_groups": [jsonable(group) for group in self.groups],
        }

    def code(self) -> str:
        """To paste after the optimizer was loaded, or the command that writes it into a copy."""
        counter = "import collections\n\n" if "collections.Counter" in python_text(self.state) else ""
        loading = f"scheduler.load_state_dict({python_text(self.state)})"
        groups = "\n".join(f"optimizer.param_groups[{i}].update({group!r})" for i, group in enumerate(self.groups))
        command = shlex.join(["lrdoctor", "repair", self.checkpoint, "--run", self.run, "-o", "repaired"])
        return f"# after loading {self.checkpoint}\n{counter}{loading}\n{groups}\n# or: {command}"


def resume_state(finding: Finding, diagnosis: Diagnosis) -> ResumeState | None:
    """The state for the checkpoint nearest to where the finding begins; None where there is none to give."""
    if not finding.code.startswith("LR2") or not diagnosis.run.checkpoints:
        return None
    run, trajectory = diagnosis.run, diagnosis.trajectory
    try:
        point, step = _nearest(finding, diagnosis)
        whole, _ = planned(run, trajectory, diagnosis.identification, diagnosis.findings, step)
        where = position(point, run, trajectory, whole)
        state = scheduler_state_at(where)
    except (LrdoctorError, NoTorchStateError, ValueError):
        return None  # what the log and the checkpoint leave open, `lrdoctor repair` asks for
    groups = tuple(State(group_entries(group, where.lr_tick)) for group in where.groups)
    return ResumeState(point.path, run.path, state, groups)


def _nearest(finding: Finding, diagnosis: Diagnosis) -> tuple[Checkpoint, float]:
    """The checkpoint written nearest to the finding's first step, among those of which the step is known."""
    placed = []
    for point in diagnosis.run.checkpoints:
        try:
            placed.append((point, steps_of(point, diagnosis.trajectory)[0]))
        except LrdoctorError:
            continue
    if not placed:
        raise ValueError("no checkpoint tells its step")
    named = finding.evidence.get("checkpoint")
    return min(placed, key=lambda one: (one[0].path != named, abs(one[1] - finding.first_step)))

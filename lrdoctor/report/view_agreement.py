"""Where settings, checkpoints and log disagree, as a table: declared, checkpoint, executed."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.engine.agreement import disagreements
from lrdoctor.model.agreement import Claim, Comparison, Topic
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable
from lrdoctor.report.words import UNIT_NAMES

_NAMES: dict[Topic, str] = {
    "peak_lr": "peak learning rate",
    "schedule": "schedule",
    "horizon_steps": "planned length",
    "warmup_steps": "warmup",
    "batch_size": "batch size",
    "updates": "updates at the checkpoint",
}
_IN_STEPS = ("horizon_steps", "warmup_steps")


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is the value, `source` where it is said; an en dash and nothing where a source is silent."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class AgreementRow:
    what: str
    declared: Cell
    checkpoint: Cell
    executed: Cell


def agreement_rows(diagnosis: Diagnosis) -> tuple[AgreementRow, ...]:
    """One row a disagreement; none where all sources agree."""
    found = disagreements(diagnosis.run, diagnosis.trajectory, diagnosis.identification)
    unit = UNIT_NAMES[diagnosis.trajectory.step_unit][1]
    return tuple(_row(one, unit) for one in found)


def _row(one: Comparison, unit: str) -> AgreementRow:
    cells = [_cell(one.topic, claim, unit) for claim in (one.declared, one.checkpoint, one.executed)]
    return AgreementRow(_NAMES[one.topic], *cells)


def _cell(topic: Topic, claim: Claim | None, unit: str) -> Cell:
    if claim is None:
        return Cell(fmt.NOTHING)
    value = claim.value
    if isinstance(value, str):
        text = printable(value)
    else:
        text = fmt.lr(value) if topic == "peak_lr" else fmt.count(value)
        text += f" {unit}" if topic in _IN_STEPS else ""
    return Cell(text, printable(claim.source))

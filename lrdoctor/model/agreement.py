"""What the settings, the checkpoints and the log of one run say of the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Topic = Literal["peak_lr", "schedule", "horizon_steps", "warmup_steps", "batch_size", "updates"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one source says, and which: a key of a file, a checkpoint, the log."""

    value: float | str
    source: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing as it was declared, as a checkpoint holds it and as the log shows it; None where a source is silent.

    `agree` allows for the rounding of logs and for a step more or less.
    """

    topic: Topic
    declared: Claim | None
    checkpoint: Claim | None
    executed: Claim | None
    agree: bool

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in (self.declared, self.checkpoint, self.executed) if claim is not None)

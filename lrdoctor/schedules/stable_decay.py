"""A constant learning rate with a decay at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import lambda_call, number

DECAYS = ("linear", "cosine", "1-sqrt", "exponential")

# What is left of the LR above the floor after the part q of the decay, as printed code.
_CODE = {
    "linear": "1 - q",
    "cosine": "(1 + math.cos(math.pi * q)) / 2",
    "1-sqrt": "1 - q ** 0.5",
    "exponential": "({r} ** q - {r}) / (1 - {r})",
}


@dataclass(frozen=True, slots=True)
class WarmupStableDecay(Schedule):
    """lr for num_stable_steps ticks, then down to min_lr_ratio * lr within num_decay_steps, where it stays.

    Argument names and decays after Transformers' get_wsd_schedule; "1-sqrt" is torchtitan's "sqrt" and Megatron's
    "minus_sqrt". "exponential" leaves (r ** q - r) / (1 - r) after the part q of the decay, r being decay_ratio: 0.5 in
    Megatron, 0.1 in timm, min_lr_ratio in fairseq's tri_stage, where the LR itself falls as min_lr_ratio ** q.
    """

    lr: float
    num_stable_steps: int
    num_decay_steps: int
    decay_type: str = "cosine"
    min_lr_ratio: float = 0.0
    decay_ratio: float = 0.5
    family: ClassVar[str] = "WarmupStableDecay"

    def __post_init__(self) -> None:
        require(self.num_stable_steps >= 0, "WarmupStableDecay needs num_stable_steps >= 0", self.num_stable_steps)
        require(self.num_decay_steps > 0, "WarmupStableDecay needs num_decay_steps > 0", self.num_decay_steps)
        require(self.decay_type in DECAYS, f"WarmupStableDecay decays {', '.join(DECAYS)}", self.decay_type)
        require(0.0 < self.decay_ratio < 1.0, "WarmupStableDecay needs decay_ratio in (0, 1)", self.decay_ratio)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        part = np.clip((t - self.num_stable_steps) / self.num_decay_steps, 0.0, 1.0)
        return self.lr * (self.min_lr_ratio + (1.0 - self.min_lr_ratio) * self._left(part))

    def _left(self, part: FloatArray) -> FloatArray:
        """The share of the LR above the floor that is left, 1 to 0."""
        match self.decay_type:
            case "linear":
                return 1.0 - part
            case "cosine":
                return 0.5 * (1.0 + np.cos(np.pi * part))
            case "1-sqrt":
                return 1.0 - np.sqrt(part)
            case _:
                ratio = self.decay_ratio
                left: FloatArray = (ratio**part - ratio) / (1.0 - ratio)
                return left

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> float:
        return self.num_stable_steps + self.num_decay_steps

    def params(self) -> dict[str, object]:
        own = {"decay_ratio": self.decay_ratio} if self.decay_type == "exponential" else {}
        return {
            "num_stable_steps": self.num_stable_steps,
            "num_decay_steps": self.num_decay_steps,
            "decay_type": self.decay_type,
            "min_lr_ratio": self.min_lr_ratio,
            **own,
        }

    def torch_code(self, optimizer: str = "optimizer") -> str:
        part = f"min(max((t - {number(self.num_stable_steps)}) / {number(self.num_decay_steps)}, 0), 1)"
        shape = _CODE[self.decay_type].format(r=number(self.decay_ratio))
        left = f"(lambda q: {shape})({part})"
        low = self.min_lr_ratio
        return lambda_call(optimizer, left if not low else f"{number(low)} + {number(1.0 - low)} * {left}")

"""What torch's scheduler classes, alone or one after another, cannot express of the families here."""

from __future__ import annotations

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from lrdoctor.schedules.inverse_sqrt import InverseSqrt
from lrdoctor.schedules.joined import Overlaid, Warmup
from lrdoctor.schedules.polynomial import PolynomialLR
from lrdoctor.schedules.product import Held, Product
from lrdoctor.schedules.stable_decay import WarmupStableDecay
from lrdoctor.schedules.unknown import Unknown


def beyond_torch(schedule: Schedule) -> str | None:
    """Why torch has no class for this schedule, its parts aside; None where it has. A script then builds a LambdaLR."""
    match schedule:
        case CosineAnnealingLR(k_decay=exponent) if exponent != 1.0:
            return "torch's cosine has no k_decay"
        case CosineAnnealingWarmRestarts(cycle_decay=factor) if factor != 1.0:
            return "torch's warm restarts all begin at the same LR"
        case PolynomialLR(eta_min=low) if low:
            return "torch's PolynomialLR falls to 0"
        case Warmup(kind=kind) if kind not in ("linear", "constant"):
            return f"torch has no warmup of the shape {kind}"
        case WarmupStableDecay(decay_type=shape) if shape not in ("linear", "cosine"):
            return f"torch has no decay of the shape {shape}"
        case InverseSqrt() | Overlaid() | Product() | Held() | Unknown():
            return f"torch has no scheduler for {type(schedule).__name__}"
    return None

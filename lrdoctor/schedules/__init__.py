"""The schedule families: one definition of each, used by identification, rules, simulation and reports alike."""

from lrdoctor.schedules.constant import Constant
from lrdoctor.schedules.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from lrdoctor.schedules.cyclic import CyclicLR
from lrdoctor.schedules.exponential import ExponentialLR
from lrdoctor.schedules.floored import Floored
from lrdoctor.schedules.inverse_sqrt import InverseSqrt
from lrdoctor.schedules.joined import Overlaid, Sequence, Stepped, Warmup
from lrdoctor.schedules.linear import LinearLR
from lrdoctor.schedules.onecycle import OneCycleLR
from lrdoctor.schedules.plateau import ReduceLROnPlateau
from lrdoctor.schedules.polynomial import PolynomialLR
from lrdoctor.schedules.product import Held, Product
from lrdoctor.schedules.range_test import RangeTest
from lrdoctor.schedules.reflected import Reflected
from lrdoctor.schedules.stable_decay import WarmupStableDecay
from lrdoctor.schedules.stepwise import MultiStepLR, StepLR
from lrdoctor.schedules.unknown import Unknown

__all__ = [
    "Constant",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "Floored",
    "Held",
    "InverseSqrt",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "Overlaid",
    "PolynomialLR",
    "Product",
    "RangeTest",
    "ReduceLROnPlateau",
    "Reflected",
    "Sequence",
    "StepLR",
    "Stepped",
    "Unknown",
    "Warmup",
    "WarmupStableDecay",
]

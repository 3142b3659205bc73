"""The schedule families: one definition of each, used by identification, rules, simulation and reports alike."""

from lrdoctor.schedules.constant import Constant
from lrdoctor.schedules.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from lrdoctor.schedules.exponential import ExponentialLR
from lrdoctor.schedules.joined import Sequence, Stepped, Warmup
from lrdoctor.schedules.linear import LinearLR
from lrdoctor.schedules.onecycle import OneCycleLR
from lrdoctor.schedules.polynomial import PolynomialLR
from lrdoctor.schedules.stepwise import MultiStepLR, StepLR
from lrdoctor.schedules.unknown import Unknown

__all__ = [
    "Constant",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "Sequence",
    "StepLR",
    "Stepped",
    "Unknown",
    "Warmup",
]

"""The rounding of a log is read off its values."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.reconstruct.precision import BFLOAT16, FLOAT16, FLOAT32, FLOAT64_REPR, resolution_of

LR = 0.01 * (1 + np.cos(np.linspace(0, 3.1, 500))) / 2


def bfloat16(values):
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


@pytest.mark.parametrize(
    ("values", "kind", "relative"),
    [
        (LR, "csv", FLOAT64_REPR),
        (LR.astype(np.float32).astype(float), "csv", FLOAT32),
        (LR.astype(np.float32).astype(float), "tensorboard", FLOAT32),
        (bfloat16(LR), "jsonl", BFLOAT16),
        (LR.astype(np.float16).astype(float), "jsonl", FLOAT16),
        (np.array([float(f"{v:.6g}") for v in LR]), "csv", 5e-6),
        (np.array([float(f"{v:.3e}") for v in LR]), "text", 5e-4),
        (np.full(50, 1e-7), "text", 5e-3),
        (np.full(50, 0.1), "csv", FLOAT64_REPR),
        (np.array([0.1, 0.01, 0.001]), "csv", FLOAT64_REPR),
        (np.zeros(5), "csv", FLOAT64_REPR),
        (np.array([np.nan]), "tensorboard", FLOAT32),
    ],
)
def test_the_relative_rounding_is_recognised(values, kind, relative):
    assert resolution_of(values, kind).relative == pytest.approx(relative)


@pytest.mark.parametrize("decimals", [4, 5])
def test_fixed_decimals_give_an_absolute_step(decimals):
    assert resolution_of(np.round(LR, decimals), "csv").quantum == pytest.approx(10.0**-decimals)
    assert resolution_of(LR, "csv", fixed_decimals=decimals).quantum == pytest.approx(10.0**-decimals)


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_the_stated_rounding_covers_the_true_error(digits):
    rounded = np.array([float(f"{v:.{digits}g}") for v in LR])
    assert (np.abs(rounded - LR) <= resolution_of(rounded, "csv").relative * LR * (1 + 1e-9)).all()

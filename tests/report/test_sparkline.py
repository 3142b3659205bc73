"""Curves in characters."""

from __future__ import annotations

import numpy as np

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.lr_curves import lr_curves
from lrdoctor.report.sparkline import ASCII, BLOCKS, sparkline


def test_rise_uses_every_block_in_order() -> None:
    steps = np.arange(800.0)
    assert sparkline(steps, steps + 1, width=8) == BLOCKS


def test_spike_of_one_step_is_seen() -> None:
    values = np.full(10_000, 1.0)
    values[5_000] = 100.0
    assert sparkline(np.arange(10_000.0), values, width=40).count(BLOCKS[-1]) == 1


def test_stretch_without_points_holds_the_value_before_it() -> None:
    assert sparkline(np.array([0.0, 1.0, 99.0]), np.array([1.0, 0.5, 1.0]), width=10) == "█" + "▄" * 8 + "█"


def test_constant_zero_and_single_point_are_drawn() -> None:
    assert sparkline(np.arange(5.0), np.zeros(5), width=4) == "▁▁▁▁"
    assert sparkline(np.array([7.0]), np.array([0.1]), width=3) == "███"


def test_nan_is_left_out_and_nothing_finite_is_nothing() -> None:
    assert sparkline(np.arange(3.0), np.array([np.nan, 1.0, np.inf]), width=2) == "██"
    assert sparkline(np.arange(3.0), np.full(3, np.nan)) == ""


def test_ascii_characters_are_ascii() -> None:
    assert sparkline(np.arange(80.0), np.arange(80.0) + 1, width=8, blocks=ASCII).isascii()


def test_lr_at_the_foot_of_its_cycle_is_drawn_low_beside_its_fix(faulty: Diagnosis) -> None:
    curves = lr_curves(faulty)
    assert curves is not None
    assert set(curves.executed) == {BLOCKS[0]}
    assert BLOCKS[-1] in curves.fixed


def test_run_without_lr_has_no_curve(unknown: Diagnosis) -> None:
    assert lr_curves(unknown) is None

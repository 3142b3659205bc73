"""Where an executed learning rate leaves the one that was due."""

from __future__ import annotations

import numpy as np

from lrdoctor.engine.apart import first_apart, worst_apart
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.trajectory import GroupTrajectory
from lrdoctor.schedules import Constant, LinearLR


def group(lrs):
    return GroupTrajectory("lr", "lr", floats(np.arange(len(lrs))), floats(lrs), ints([0] * len(lrs)))


def test_the_first_point_more_than_one_percent_off_is_named():
    apart = first_apart(group([0.1, 0.1009, 0.102, 0.2]), Constant(0.1))
    assert (apart.step, apart.observed, apart.expected) == (2, 0.102, 0.1)


def test_the_worst_point_is_the_farthest_off():
    assert worst_apart(group([0.1, 0.102, 0.2, 0.15]), Constant(0.1)).step == 2


def test_values_that_agree_are_not_apart():
    assert first_apart(group([0.1, 0.1005]), Constant(0.1)) is None
    assert worst_apart(group([0.1, 0.1005]), Constant(0.1)) is None


def test_differences_far_below_the_peak_do_not_count():
    assert first_apart(group([0.1, 0.05, 1e-6]), LinearLR(0.1, total_iters=2)) is None


def test_points_that_are_not_numbers_are_passed_over():
    assert first_apart(group([np.nan, 0.1, 0.2]), Constant(0.1)).step == 2
    assert worst_apart(group([np.nan, 0.1, 0.2]), Constant(0.1)).step == 2

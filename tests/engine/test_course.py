"""How far a schedule came, whatever stands before it."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.engine.course import course_of
from lrdoctor.schedules import LinearLR, PolynomialLR, Sequence, Warmup
from lrdoctor.synth import run
from lrdoctor.testing import examine

MAIN = PolynomialLR(0.1, 925, 0.9)


@pytest.mark.parametrize(
    "whole",
    [Warmup(MAIN, 48, 0.01), Sequence((LinearLR(0.1, 47, 0.01, 1.0), MAIN), (48.0,))],
    ids=["torch's ramp", "mmengine's, at the peak a tick early"],
)
def test_the_ticks_of_a_warmup_are_not_the_main_schedules(whole: Warmup | Sequence) -> None:
    evidence = examine(run(whole, steps=974))
    course = course_of(evidence.trajectory, evidence.identification, None)
    assert course is not None
    assert (course.warmup, course.horizon, course.made) == (48.0, 925.0, 926.0)
    assert np.isclose(course.step_of(925), 973)

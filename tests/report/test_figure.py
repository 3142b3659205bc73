"""The picture of a rule's case: two curves on one scale, the same each time, safe to embed."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lrdoctor.report.figure import BOTTOM, HEIGHT, TOP, figure
from lrdoctor.schedules import CosineAnnealingLR, StepLR, Unknown

SVG = "{http://www.w3.org/2000/svg}"


def curves(picture: str) -> list[list[tuple[float, float]]]:
    lines = ElementTree.fromstring(picture).findall(f"{SVG}polyline")
    return [[tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()] for line in lines]  # type: ignore[misc]


def test_both_curves_share_the_scale_of_the_larger() -> None:
    low, high = curves(figure(CosineAnnealingLR(0.05, 100), CosineAnnealingLR(0.1, 100), 100, "half"))
    floor = HEIGHT - BOTTOM
    assert high[0][1] == pytest.approx(TOP)
    assert floor - low[0][1] == pytest.approx((floor - TOP) / 2, abs=0.1)


def test_a_remedy_that_changes_nothing_is_not_drawn() -> None:
    same = CosineAnnealingLR(0.1, 100)
    assert len(curves(figure(same, same, 100, "as it was"))) == 1
    assert len(curves(figure(same, None, 100, "no schedule"))) == 1


def test_a_drop_stays_steep_however_long_the_run() -> None:
    (line,) = curves(figure(StepLR(0.1, 50_000), None, 100_000, "drop"))
    drop = next(i for i in range(1, len(line)) if line[i][1] - line[i - 1][1] > 50)
    assert line[drop][0] - line[drop - 1][0] <= 0.1


def test_text_is_escaped_and_the_picture_is_the_same_each_time() -> None:
    schedule = CosineAnnealingLR(0.1, 100)
    picture = figure(schedule, None, 100, "<script> & 'more'")
    assert "<script>" not in picture
    assert picture == figure(schedule, None, 100, "<script> & 'more'")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", picture)


def test_values_that_cannot_be_drawn_do_not_break_it() -> None:
    (line,) = curves(figure(Unknown((0.0, 10.0), (float("nan"), 0.1)), None, 10, "broken"))
    assert all(abs(x) < 1e4 and abs(y) < 1e4 for x, y in line)

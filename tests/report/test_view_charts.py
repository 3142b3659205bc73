"""The figure as data: what is drawn, where it is marked, and that it is strict JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.identification import Fit, GroupIdentification, Identification
from lrdoctor.model.trajectory import GroupTrajectory
from lrdoctor.report.chart_marks import marks
from lrdoctor.report.charts import Chart, chart
from lrdoctor.schedules import MultiStepLR


def figure(diagnosis: Diagnosis) -> tuple[Chart, Any]:
    drawn = chart(diagnosis)
    assert drawn is not None
    return drawn, json.loads(json.dumps(drawn.figure, allow_nan=False))


def stepwise(healthy: Diagnosis) -> Diagnosis:
    """MultiStepLR with drops at 300 and 600 of 1,000 updates."""
    schedule = MultiStepLR(0.1, (300, 600))
    steps = np.arange(1000, dtype=float)
    group = GroupTrajectory("lr", "lr", floats(steps), floats(schedule.lr_at(steps)), ints(np.zeros(1000)))
    fit = Fit(schedule, schedule, 0, 999, "update", 1, 0.0, 1.0, True)
    return replace(
        healthy,
        trajectory=replace(healthy.trajectory, groups=(group,), steps=1000),
        identification=Identification((GroupIdentification("lr", (fit,)),)),
    )


def test_the_lr_chart_holds_executed_identified_and_fix(faulty: Diagnosis) -> None:
    drawn, data = figure(faulty)
    labels = [key.label for key in drawn.lr_keys]
    expected = ["executed", "identified: OneCycleLR", "fix, stepped through torch", "trained again later", "lr-SGD/pg2"]
    assert labels == expected
    assert [key.shown for key in drawn.lr_keys] == [True, True, True, True, False]
    fix = data["data"][drawn.lr_keys[2].traces[0]]
    assert max(fix["y"]) > 0.099


def test_without_torch_the_fix_is_drawn_from_its_closed_form(refused: Diagnosis) -> None:
    drawn, data = figure(refused)
    assert drawn.lr_keys[2].label == "fix"
    assert max(data["data"][drawn.lr_keys[2].traces[0]]["y"]) > 0.099


def test_all_panels_share_one_x_axis(faulty: Diagnosis) -> None:
    _, data = figure(faulty)
    assert {trace["xaxis"] for trace in data["data"]} == {"x"}
    assert {trace["yaxis"] for trace in data["data"]} == {"y", "y2", "y3"}


def test_panels_do_not_overlap(faulty: Diagnosis) -> None:
    _, data = figure(faulty)
    layout = data["layout"]
    domains = [layout[axis]["domain"] for axis in ("yaxis2", "yaxis", "yaxis3")]
    edges = [edge for domain in domains for edge in domain]
    assert edges == sorted(edges)
    assert edges[0] == 0.0
    assert edges[-1] <= 1.0


def test_restarts_and_findings_are_marked(faulty: Diagnosis) -> None:
    _, data = figure(faulty)
    lines = [shape["x0"] for shape in data["layout"]["shapes"] if shape["type"] == "line"]
    shades = [(shape["x0"], shape["x1"]) for shape in data["layout"]["shapes"] if shape["type"] == "rect"]
    assert lines == [4000, 7500]
    assert shades == [(4000, 7499)]
    assert data["layout"]["yaxis3"]["ticktext"] == ["LR101", "LR201"]


def test_milestones_are_marked_with_their_factor(healthy: Diagnosis) -> None:
    found = marks(stepwise(healthy))
    assert [(mark.step, mark.label) for mark in found] == [
        (300, "\N{MULTIPLICATION SIGN}0.1"),
        (600, "\N{MULTIPLICATION SIGN}0.1"),
    ]


def test_the_end_of_a_warmup_is_marked(healthy: Diagnosis) -> None:
    assert [(mark.step, mark.label) for mark in marks(healthy)] == [(500, "warmup ends")]


def test_every_legend_entry_points_at_traces_of_its_own(faulty: Diagnosis) -> None:
    drawn, data = figure(faulty)
    traces = [i for key in (*drawn.lr_keys, *drawn.loss_keys) for i in key.traces]
    assert len(traces) == len(set(traces))
    assert all(data["data"][i]["x"] for i in traces)


def test_the_band_is_drawn_around_the_estimate(faulty: Diagnosis) -> None:
    drawn, data = figure(faulty)
    band = next(key for key in drawn.loss_keys if key.style == "band")
    low, high = (data["data"][i] for i in band.traces)
    assert high["fill"] == "tonexty"
    assert all(a <= b for a, b in zip(low["y"][:8], high["y"][:8], strict=True))


def test_names_cannot_speak_plotlys_html(faulty: Diagnosis) -> None:
    lead = faulty.trajectory.groups[0]
    evil = GroupTrajectory("<a href='x'>\x1b[31mred", "t", lead.steps, lead.lr, lead.segment)
    _, data = figure(replace(faulty, trajectory=replace(faulty.trajectory, groups=(lead, evil))))
    names = [trace["name"] for trace in data["data"]]
    assert "&lt;a href='x'&gt;red" in names

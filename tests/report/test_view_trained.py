"""Predicted beside trained, on the page of a run that was replayed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrdoctor.model.diagnosis import Audit, Diagnosis, SeedEnds, Trained
from lrdoctor.report.html import write_report
from lrdoctor.report.numbers import NOTHING
from lrdoctor.report.view_trained import trained_view

STEPS = np.array([25.0, 50.0, 75.0, 100.0])
SEEDS = (SeedEnds(0, 2.5, 2.25), SeedEnds(1, 2.75, 2.25))
TRAINED = Trained("gpt", 100, SEEDS, 0.375, (0.2, 0.55), "lower", STEPS, STEPS[::-1] / 40, STEPS[::-1] / 50)
BROKEN = Trained(
    "mine:build", 100, (SeedEnds(0, math.nan, 2.0),), math.inf, None, "lower", np.empty(0), np.empty(0), np.empty(0)
)


def test_what_was_predicted_stands_beside_what_was_trained(faulty: Diagnosis) -> None:
    view = trained_view(replace(faulty, trained=TRAINED))
    assert view is not None
    rows = {label: (predicted, trained) for label, predicted, trained in view.rows}
    assert rows["Ends as executed"][1] == "2.625"
    assert rows["Ends with the fix"] == ("2.31", "2.25")
    assert rows["Gain"][1] == "0.375 (95\N{NO-BREAK SPACE}%: 0.2 to 0.55)"
    assert view.sentence.startswith("The fix ends lower by 0.3750")
    assert "10,000 updates were played in 100" in view.caveat
    assert view.seeds[1] == ("1", "2.75", "2.25", "0.5")


def test_the_curves_share_one_scale_and_the_lower_loss_is_drawn_lower(faulty: Diagnosis) -> None:
    curves = trained_view(replace(faulty, trained=TRAINED)).curves  # type: ignore[union-attr]
    assert curves is not None
    assert (curves.high, curves.low) == ("2.5", "0.5")
    assert curves.executed.split()[0] == "56.0,10.0"
    assert curves.fixed.split()[-1] == "628.0,160.0"


def test_a_refused_prediction_and_a_broken_training_are_said_as_such(refused: Diagnosis) -> None:
    view = trained_view(replace(refused, trained=BROKEN))
    assert view is not None
    rows = {label: (predicted, trained) for label, predicted, trained in view.rows}
    assert rows["The fix ends"] == ("refused", "lower")
    assert rows["Ends as executed"] == (NOTHING, "diverged")
    assert rows["Gain"] == (NOTHING, NOTHING)
    assert view.seeds == (("0", "diverged", "2", NOTHING),)
    assert view.curves is None


def test_the_page_shows_both_and_a_run_that_was_not_replayed_has_no_such_part(
    faulty: Diagnosis, healthy: Diagnosis, tmp_path: Path
) -> None:
    write_report(Audit((replace(faulty, trained=TRAINED), healthy), (), "0"), tmp_path / "out", pages={})
    pages = [page.read_text(encoding="utf-8") for page in sorted((tmp_path / "out").glob("run*.html"))]
    assert [page.count("Predicted for this run") for page in pages].count(1) == 1
    (shown,) = (page for page in pages if "Predicted for this run" in page)
    assert '<polyline class="fix"' in shown
    assert "Trained: gpt" in shown

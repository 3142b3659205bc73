"""Runs of a published model that the library does not hold: 100M parameters, twice 72,000 updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor.model.identification import Identification
from lrdoctor.readers import read
from lrdoctor.reconstruct import reconstruct
from lrdoctor.schedules import Unknown
from lrdoctor.simulate.estimate import estimate
from lrdoctor.simulate.library import load_library

RUNS = Path(__file__).parents[2] / ".." / "shared" / "data" / "runs" / "thu-yao-01-luo__MultiPowerLaw"


@pytest.fixture(scope="module")
def published():
    if not RUNS.is_dir():
        pytest.skip(f"the public runs are not at {RUNS}")
    found = {}
    for kind in ("constant", "cosine"):
        (run,) = read(str(RUNS / f"csv_100-{kind}_72000"))
        found[kind] = (run, reconstruct(run))
    return found


@pytest.mark.parametrize(("seen", "unseen"), [("constant", "cosine"), ("cosine", "constant")])
def test_each_of_two_runs_is_predicted_from_the_other(published, seen, unseen):
    assert not any("100M" in entry.model for entry in load_library().entries)
    (run, trajectory), (_, other) = published[seen], published[unseen]
    executed = Unknown(tuple(other.lead.steps.tolist()), tuple(other.lead.lr.tolist()))
    result = estimate(run, trajectory, Identification(), executed, device="cpu")
    truth = float(other.loss.values[-1])
    low, high = result.interval_90
    assert low < truth < high
    assert result.estimated_final_loss == pytest.approx(truth, abs=0.02)
    assert result.direction == ("lower" if unseen == "cosine" else "higher")

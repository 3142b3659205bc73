"""Every public training log of the collection is found, read and reconstructed with its LR points counted right."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lrdoctor.identify import identify
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.readers import read
from lrdoctor.reconstruct import reconstruct


def _beside(name: str) -> ModuleType:
    """A script of this folder as a module; the folder is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


real_points = _beside("real_points")
RUNS = real_points.RUNS
# The manifest counts one of the two event files (30 points) although it describes "two sessions": 20 + 30 points.
COUNTED_ANEW = {"rajcreo__connector_detection_tf_model/my_ssd_mobnet": 50}
# One point of an attempt that was started over: read, but not counted as part of the run.
READ_ANEW = COUNTED_ANEW | {"open-mmlab__OpenPCDet/tpoint_rcnn": 4891}
ROWS = real_points.manifest()
pytestmark = pytest.mark.skipif(
    not ROWS, reason="the collection of real runs is not here: ../shared/data/runs or $LRDOCTOR_REAL_RUNS"
)


@cache
def trajectories(run_path: str) -> tuple[Trajectory, ...]:
    return tuple(reconstruct(run) for run in read(str(RUNS / run_path)))


def the_one_with_lr(run_path: str) -> Trajectory:
    (found,) = (one for one in trajectories(run_path) if one.lr_points)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["run_path"])
def test_the_learning_rate_points_are_counted_right(row):
    expected = COUNTED_ANEW.get(row["run_path"], int(row["n_lr_points"]))
    counts = [one.lr_points for one in trajectories(row["run_path"]) if one.lr_points]
    assert counts == ([expected] if expected else [])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["run_path"])
def test_the_learning_rates_equal_an_independent_parse(row):
    theirs = real_points.independent(row["run_path"])
    assert theirs.count == READ_ANEW.get(row["run_path"], int(row["n_lr_points"]))
    assert repr(real_points.ours(row["run_path"])) == repr(theirs)  # NaN included, and every bit of every number


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["run_path"])
def test_every_trajectory_is_well_formed(row):
    for trajectory in trajectories(row["run_path"]):
        assert trajectory.choices
        assert sum(count for _, count in trajectory.lr_points_by_source) == trajectory.lr_points
        for curve in (*trajectory.groups, *trajectory.curves):
            assert (np.diff(curve.steps) > 0).all()
            assert np.isfinite(curve.steps).all()
            assert ((curve.segment >= 0) & (curve.segment < len(trajectory.segments))).all()
        for group in trajectory.groups:
            assert group.steps[-1] < trajectory.steps


EXPECTED = [
    # run, step_unit, steps, steps_per_epoch, sessions, attempts
    ("open-mmlab__OpenPCDet/tpoint_rcnn", "update", 2446, None, 1, 2),
    ("12tqian__gdp-objdetect/output", "update", 840, None, 1, 5),
    ("AhmedZ41__cnn-sleep-apnea-xai/training_log", "epoch", 50, None, 1, 2),
    ("s20488__RETFound-multidisease-eye-screening/finetune_IDRiD", "update", 2800, 56, 1, 1),
    ("matteorossil__mae_ssl/output_dir_first", "update", 151, 62, 1, 1),
    ("matteorossil__mae_ssl/output_dir_epoch281", "epoch", 288, None, 1, 1),
    ("matteorossil__mae_ssl/models_vits16-a_5fps_vits16", "update", 230001, None, 2, 1),
    ("rajcreo__connector_detection_tf_model/my_ssd_mobnet", "update", 5000, None, 2, 1),
    ("Areinaqiu__3035272042/mmpose_cats", "update", 1725, 69, 1, 1),
    ("Aquilaxc__tft-network/colab_0924", "update", 1968, 82, 1, 1),
    ("aakashvardhan__pl-wrapper/csv-version_0", "update", 5880, 196, 1, 1),
    ("aakashvardhan__pl-wrapper/tb-version_0", "update", 5880, 196, 1, 1),
    ("hiyouga__LLaMA-Factory/2023-07-29-17-08-49", "update", 360, 18, 1, 1),
    ("haakontveit1__rl_racer/progress", "env-step", 1000001, None, 1, 1),
    ("24Musab25__model_training_ida/train", "epoch", 50, None, 1, 1),
    ("xuritian317__pytorch-image-models/gpu_T4_2-nab-nab_1e-4_no_con_loss_87.5_fc_ubuntu240", "epoch", 105, None, 1, 1),
    ("karpathy__nanoGPT/wandbcsv-baseline_seed3242_cpc0g0we", "update", 5001, None, 1, 1),
    ("thu-yao-01-luo__MultiPowerLaw/csv_100-wsd_20000_24000", "update", None, None, 1, 1),
]


@pytest.mark.parametrize(("run_path", "unit", "steps", "per_epoch", "sessions", "attempts"), EXPECTED)
def test_steps_epochs_and_sessions_agree_with_what_is_known_of_the_run(
    run_path, unit, steps, per_epoch, sessions, attempts
):
    found = the_one_with_lr(run_path)
    assert (found.step_unit, found.steps_per_epoch, len(found.segments), found.attempts) == (
        unit,
        per_epoch,
        sessions,
        attempts,
    )
    assert steps is None or found.steps == steps


SCHEDULES = [
    # run, family, stepped, horizon, warmup in trajectory steps
    ("MAADDS__OceanLitter/exp", "CosineAnnealingLR", "epoch", 100, 1000 / 170),
    ("ultralytics__yolov5/dataset_vincent_540", "CosineAnnealingLR", "epoch", 300, 1000 / 19),
    ("24Musab25__model_training_ida/train", "LinearLR", "epoch", 50, 100 / 11),
    ("karpathy__nanoGPT/wandb-ct8nwitg", "CosineAnnealingLR", "update", 600_000, 2000),
    ("thu-yao-01-luo__MultiPowerLaw/csv_100-wsd_20000_24000", "WarmupStableDecay", "update", 24_000, 0),
    ("Areinaqiu__3035272042/mmpose_cats", "MultiStepLR", "epoch", None, 10),
    ("AhmedZ41__cnn-sleep-apnea-xai/training_log", "ReduceLROnPlateau", "epoch", None, 0),
    ("Aquilaxc__tft-network/colab_0924", "ReduceLROnPlateau", "epoch", None, 0),
]


@pytest.mark.parametrize(("run_path", "family", "stepped", "horizon", "warmup"), SCHEDULES)
def test_schedules_that_are_known_otherwise_are_recognised(run_path, family, stepped, horizon, warmup):
    (run,) = (one for one in read(str(RUNS / run_path)) if reconstruct(one).lr_points)
    fit = identify(reconstruct(run), run.checkpoints).groups[0].fit
    assert (fit.family, fit.stepped) == (family, stepped)
    assert fit.confidence >= 0.5
    assert fit.horizon_steps == (None if horizon is None else pytest.approx(horizon))
    assert fit.warmup_span == pytest.approx(warmup, rel=2e-3)

"""Updates per epoch, the planned length, the batch size, and whether the run got there."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.model.run import Checkpoint, Hint, Run
from lrdoctor.reconstruct import reconstruct
from lrdoctor.reconstruct.epochs import from_pairs


@pytest.mark.parametrize("per_epoch", [7, 82, 196, 1000])
@pytest.mark.parametrize("start", [0, 1])
def test_an_epoch_column_beside_every_step_gives_the_exact_number(per_epoch, start):
    steps = np.arange(5.0 * per_epoch)
    assert from_pairs(steps, steps // per_epoch + start) == per_epoch


@pytest.mark.parametrize("per_epoch", [60, 196, 391])
def test_points_at_the_epochs_ends_give_the_exact_number_from_a_sparse_log(per_epoch):
    steps = np.unique(np.concatenate([np.arange(49, 10 * per_epoch, 50), np.arange(1, 11) * per_epoch - 1])).astype(
        float
    )
    assert from_pairs(steps, steps // per_epoch) == per_epoch


def test_a_sparse_log_without_epoch_ends_gives_a_close_number_or_none():
    steps = np.arange(49.0, 196 * 30, 50)
    found = from_pairs(steps, steps // 196)
    assert found is not None
    assert abs(found - 196) < 0.02 * 196
    short = np.arange(49.0, 300, 50)
    assert from_pairs(short, short // 196) is None


def test_an_epoch_that_never_ends_tells_nothing():
    assert from_pairs(np.arange(50.0), np.zeros(50)) is None


@pytest.mark.parametrize("decimals", [2, 16])
@pytest.mark.parametrize("per_epoch", [18, 305])
def test_the_fractional_epoch_of_transformers_gives_the_number(per_epoch, decimals):
    done = np.arange(5.0, 20 * per_epoch + 1, 5)
    assert from_pairs(done - 1, np.round(done / per_epoch, decimals)) == per_epoch


def test_an_epoch_that_contradicts_the_steps_gives_none():
    assert from_pairs(np.arange(100.0), np.random.default_rng(1).permutation(100).astype(float)) is None


def lr_run(series, last, checkpoints=(), framework=None, hints=(), **axes):
    steps = np.arange(float(last))
    pieces = (series("lr", np.linspace(0.1, 0.01, last), step=steps, **{k: v(steps) for k, v in axes.items()}),)
    return Run("run", pieces, checkpoints=tuple(checkpoints), hints=tuple(hints), framework=framework)


def hint(name, value, key=None, detail=None):
    return Hint(name, value, "run/args.yaml", key or name, detail)


@pytest.mark.parametrize(("last", "complete"), [(1000, True), (985, True), (950, None), (500, False)])
def test_a_run_is_complete_where_it_reached_its_declared_steps(series, last, complete):
    trajectory = reconstruct(lr_run(series, last, hints=[hint("max_steps", 1000)]))
    assert (trajectory.planned_steps, trajectory.complete) == (1000, complete)


def test_without_a_plan_nothing_is_said_about_completeness(series):
    trajectory = reconstruct(lr_run(series, 100))
    assert (trajectory.planned_steps, trajectory.complete) == (None, None)


def test_declared_epochs_become_steps_with_the_logged_epoch_length(series):
    trajectory = reconstruct(lr_run(series, 500, hints=[hint("epochs", 10)], epoch=lambda steps: steps // 50))
    assert (trajectory.steps_per_epoch, trajectory.epochs) == (50, 10)
    assert (trajectory.planned_steps, trajectory.complete) == (500, True)


def test_a_max_steps_of_minus_one_is_no_plan(series):
    assert reconstruct(lr_run(series, 100, hints=[hint("max_steps", -1)])).planned_steps is None


def test_a_checkpoint_gives_the_plan_and_the_epoch_length(series):
    saved = Checkpoint("run/checkpoint-80", "hf", True, None, (), global_step=80, epoch=4.0, max_steps=200)
    trajectory = reconstruct(lr_run(series, 100, [saved], "transformers"))
    assert (trajectory.steps_per_epoch, trajectory.planned_steps, trajectory.complete) == (20, 200, False)


def test_a_lightning_checkpoint_counts_the_epoch_it_ended(series):
    saved = Checkpoint("run/last.ckpt", "lightning", True, None, (), global_step=1968, epoch=23.0)
    assert reconstruct(lr_run(series, 1968, [saved], "lightning")).steps_per_epoch == 82


def test_data_set_size_over_batch_size_is_the_last_resort(series):
    trajectory = reconstruct(lr_run(series, 100, hints=[hint("dataset_size", 100), hint("batch_size", 32)]))
    assert trajectory.steps_per_epoch == 4


def test_a_batch_size_per_device_is_multiplied(series):
    hints = [hint("batch_size", 8, detail="per device"), hint("world_size", 4), hint("grad_accum", 2)]
    assert reconstruct(lr_run(series, 100, hints=hints)).batch_size == 64
    assert reconstruct(lr_run(series, 100, hints=[hint("batch_size", 8)])).batch_size == 8

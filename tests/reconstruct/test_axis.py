"""Which counter is the optimizer step, and where it starts."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.reconstruct import reconstruct

LR = np.linspace(0.1, 0.01, 60)


def test_an_update_counter_is_preferred_to_the_epoch_and_to_the_loggers_own(series, run):
    piece = series("lr", LR, _step=np.arange(60.0) * 3, epoch=np.arange(60.0) // 10, iter=np.arange(60.0) * 100)
    trajectory = reconstruct(run(piece))
    assert trajectory.step_unit == "update"
    assert trajectory.lead.steps[-1] == 5900


def test_the_loggers_own_counter_is_used_where_there_is_nothing_better(series, run):
    trajectory = reconstruct(run(series("lr", LR, _step=np.arange(60.0))))
    assert (trajectory.step_unit, trajectory.lead.steps[-1]) == ("unknown", 59)


def test_an_epoch_column_alone_makes_the_epoch_the_unit(series, run):
    trajectory = reconstruct(run(series("train_lr", LR, epoch=np.arange(1.0, 61.0)), epochs=100))
    assert trajectory.step_unit == "epoch"
    assert (trajectory.lead.steps[0], trajectory.epochs, trajectory.planned_steps) == (0, 60, 100)
    assert trajectory.complete is False
    assert trajectory.steps_per_epoch is None


def test_without_any_counter_the_rows_are_counted(series, run):
    trajectory = reconstruct(run(series("lr", LR)))
    assert (trajectory.step_unit, trajectory.steps) == ("row", 60)


@pytest.mark.parametrize("name", ["time__total_timesteps", "num_env_steps"])
def test_environment_steps_are_named_as_such(series, run, name):
    piece = series(
        "train/learning_rate", LR, **{name: np.arange(1.0, 61.0) * 2048, "time__iterations": np.arange(60.0)}
    )
    trajectory = reconstruct(run(piece))
    assert (trajectory.step_unit, trajectory.lead.steps[0]) == ("env-step", 2048)


def test_unitys_policy_tags_count_environment_steps(series, run):
    steps = np.arange(1.0, 61.0) * 10000
    piece = series("Policy/Learning Rate", LR, kind="tensorboard", path="run/events.1", step=steps)
    assert reconstruct(run(piece)).step_unit == "env-step"


def test_ultralytics_events_count_epochs(series, run):
    piece = series("x/lr0", LR, kind="tensorboard", path="run/events.1", step=np.arange(60.0))
    trajectory = reconstruct(run(piece))
    assert (trajectory.step_unit, trajectory.epochs) == ("epoch", 60)


def test_samples_become_updates_where_the_batch_size_is_known(series, run):
    piece = series("Train/Samples/lr", LR, kind="tensorboard", path="run/events.1", step=np.arange(60.0) * 320)
    assert reconstruct(run(piece)).step_unit == "sample"
    known = reconstruct(run(piece, batch_size=32))
    assert (known.step_unit, known.lead.steps[1]) == ("update", 10)


@pytest.mark.parametrize("per_epoch", [12, 56, 62, 391])
def test_thousandths_of_an_epoch_become_updates(series, run, per_epoch):
    updates = np.arange(3 * per_epoch)
    logged = [int((i % per_epoch / per_epoch + i // per_epoch) * 1000) for i in updates.tolist()]
    piece = series("lr", np.linspace(0, 0.1, len(updates)), kind="tensorboard", path="run/events.1", step=logged)
    trajectory = reconstruct(run(piece))
    assert trajectory.step_unit == "update"
    assert trajectory.lead.steps.tolist() == updates.tolist()
    assert trajectory.steps_per_epoch == per_epoch


def test_thousandths_logged_once_an_epoch_become_epochs_where_another_log_confirms_it(series, run):
    events = series("lr", LR, kind="tensorboard", path="run/events.1", step=np.arange(281.0, 341.0) * 1000)
    text = series("train_loss", LR, path="run/log.txt", kind="jsonl", epoch=np.arange(281.0, 341.0))
    confirmed = reconstruct(run(events, text))
    assert (confirmed.step_unit, confirmed.lead.steps[0]) == ("epoch", 281)
    assert reconstruct(run(events)).lead.steps[0] == 281000


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_that_starts_over_each_epoch_is_no_restart(series, run, first):
    inside = np.tile(np.arange(20.0), 3) + first
    piece = series("lr", LR, epoch=np.repeat([1.0, 2.0, 3.0], 20), iter=inside)
    trajectory = reconstruct(run(piece))
    assert trajectory.lead.steps.tolist() == list(range(60))
    assert (trajectory.steps_per_epoch, len(trajectory.segments)) == (20, 1)


def test_evaluation_rows_with_a_counter_of_their_own_are_no_steps(series, run):
    inside = np.tile(np.append(np.arange(1.0, 21.0), 9.0), 3)
    values = np.tile(np.append(np.linspace(1, 0.5, 20), 0.0), 3)
    trajectory = reconstruct(run(series("lr", values, epoch=np.repeat([1.0, 2.0, 3.0], 21), iter=inside)))
    assert trajectory.lead.steps.tolist() == list(range(60))
    assert not (trajectory.lead.lr == 0).any()
    assert trajectory.lr_points == 63


@pytest.mark.parametrize(
    ("logged", "first"),
    [
        (np.arange(60.0), 0),
        (np.arange(1.0, 61.0), 0),
        (np.arange(1.0, 61.0) * 10, 9),
        (np.arange(60.0) * 50 + 49, 49),
        (np.arange(60.0) * 128 + 2176, 2176),
        (np.arange(60.0) + 40050, 40050),
    ],
)
def test_one_is_subtracted_only_where_the_log_counts_from_one(series, run, logged, first):
    assert reconstruct(run(series("lr", LR, step=logged))).lead.steps[0] == first


def test_transformers_counts_from_one_even_where_the_log_starts_late(series, run):
    piece = series("learning_rate", LR, step=np.arange(60.0) * 10 + 510)
    assert reconstruct(run(piece, framework="transformers")).lead.steps[0] == 509


def test_the_named_counter_is_used_even_where_it_is_an_ordinary_column(series, run):
    pieces = [series("lr", LR, step=np.arange(60.0)), series("ticks", np.arange(60.0) * 7, step=np.arange(60.0))]
    assert reconstruct(run(*pieces), step_tag="ticks").lead.steps[-1] == 59 * 7
    assert reconstruct(run(*pieces), step_tag="step").lead.steps[-1] == 59


def test_points_without_a_step_are_left_out_but_counted(series, run):
    steps = np.arange(60.0)
    steps[10] = np.nan
    trajectory = reconstruct(run(series("lr", LR, step=steps)))
    assert (len(trajectory.lead.steps), trajectory.lr_points) == (59, 60)

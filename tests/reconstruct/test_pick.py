"""Which tag is the learning rate, and which of several recordings is believed."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.reconstruct import reconstruct
from lrdoctor.reconstruct.names import lr_name, role_of

REAL_LR_NAMES = [
    "train_lr", "lr", "x/lr0", "x/lr2", "lr-Ranger", "lr-SGD", "lr-Adam/pg1", "lr-AdamW-1", "learning_rate",
    "train/learning_rate",
    "Policy/Learning Rate", "lr/pg0", "meta_data/learning_rate", "LEARNING_RATE", "epoch_lr", "Train/Samples/lr",
    "opt/lr", "train_lr[1]", "cosine/lr", "learning-rate", "LearningRate", "charts/learning_rate", "train/lr",
]  # fmt: skip
NOT_LR_NAMES = [
    "lr-Adam-momentum", "lr-SGD/pg1-weight_decay", "config/lr", "lr_scale", "loss", "epoch", "lr_mult", "lrap",
    "color", "meta_data/momentum", "lr_warmup_steps", "lr-SGD-momentum",
]  # fmt: skip


@pytest.mark.parametrize("tag", REAL_LR_NAMES)
def test_a_name_seen_for_the_learning_rate_is_recognised(tag):
    assert lr_name(tag) is not None


@pytest.mark.parametrize("tag", NOT_LR_NAMES)
def test_a_name_of_something_else_is_not_taken_for_the_learning_rate(tag):
    assert lr_name(tag) is None


@pytest.mark.parametrize(
    ("tag", "role"),
    [
        ("train_loss", "train-loss"),
        ("Losses/Policy Loss", "train-loss"),
        ("val/box_loss", "eval-loss"),
        ("eval_loss", "eval-loss"),
        ("DEV_LOSS", "eval-loss"),
        ("test_loss", "eval-loss"),
        ("lr-SGD-momentum", "momentum"),
        ("meta_data/momentum", "momentum"),
        ("train/grad_norm", "grad-norm"),
        ("val_accuracy", "metric"),
        ("loss_scale", None),
        ("data_time", None),
    ],
)
def test_the_role_of_a_series_is_told_by_its_name(tag, role):
    assert role_of(tag) == role


def test_all_parameter_groups_are_kept_in_the_order_of_their_index(series, run):
    steps = np.arange(20.0)
    pieces = [series(f"lr/pg{n}", np.full(20, 0.1 * (n + 1)), epoch=steps) for n in (2, 0, 10, 1)]
    assert [group.tag for group in reconstruct(run(*pieces)).groups] == ["lr/pg0", "lr/pg1", "lr/pg2", "lr/pg10"]


def test_equal_groups_are_groups_but_one_series_under_two_names_is_one(series, run):
    steps, values = np.arange(20.0), np.linspace(1, 0.1, 20)
    pieces = [series(tag, values, step=steps) for tag in ("x/lr0", "x/lr1", "train/learning_rate")]
    assert [group.tag for group in reconstruct(run(*pieces)).groups] == ["x/lr0", "x/lr1"]


def test_a_base_lr_is_used_only_where_the_lr_itself_is_not_logged(series, run):
    steps, values = np.arange(20.0), np.linspace(1, 0.1, 20)
    base, lr = series("base_lr", values, step=steps), series("lr", values / 2, step=steps)
    assert [group.tag for group in reconstruct(run(base, lr)).groups] == ["lr"]
    assert [group.tag for group in reconstruct(run(base)).groups] == ["base_lr"]


def test_a_series_whose_values_are_no_learning_rates_is_not_taken(series, run):
    trajectory = reconstruct(run(series("lr", np.linspace(1e6, 2e6, 20), step=np.arange(20.0))))
    assert trajectory.groups == ()
    assert trajectory.choices[0].chosen == "none"


def test_a_faulty_learning_rate_is_still_a_learning_rate(series, run):
    values = np.array([0.1, np.nan, -0.1, np.inf, 0.1])
    assert len(reconstruct(run(series("lr", values, step=np.arange(5.0)))).lead.lr) == 5


def test_without_a_learning_rate_the_choice_lists_what_was_there(series, run):
    trajectory = reconstruct(run(series("train_loss", np.linspace(2, 1, 50), step=np.arange(50.0))))
    assert trajectory.groups == ()
    assert "train_loss" in trajectory.choices[0].rejected
    assert trajectory.steps == 50
    assert trajectory.loss.tag == "train_loss"


def test_a_run_without_any_series_gives_an_empty_trajectory(run):
    trajectory = reconstruct(run())
    assert (trajectory.groups, trajectory.steps, trajectory.lr_points) == ((), 0, 0)


def test_the_same_series_in_two_files_is_counted_once_and_the_fuller_one_used(series, run):
    steps = np.arange(100.0)
    values = np.linspace(0.1, 0.01, 100)
    events = series("lr", values.astype(np.float32), path="run/events.out.tfevents.1", kind="tensorboard", step=steps)
    csv = series("lr", values[::10], path="run/metrics.csv", step=steps[::10])
    trajectory = reconstruct(run(csv, events))
    assert trajectory.lr_points_by_source == (("run/events.out.tfevents.1", 100),)
    choice = next(choice for choice in trajectory.choices if choice.what == "source of the learning rate")
    assert choice.rejected == ("run/metrics.csv",)
    assert "counted once" in choice.why


def test_a_file_of_another_run_is_set_aside_and_the_choice_says_so(series, run):
    csv = series("lr-SGD", np.linspace(0.1, 0.01, 60), path="run/metrics.csv", step=np.arange(60.0))
    events = series("lr-Adam", np.full(20, 1e-3), path="run/events.1", kind="tensorboard", step=np.arange(20.0))
    trajectory = reconstruct(run(csv, events))
    assert [group.tag for group in trajectory.groups] == ["lr-SGD"]
    assert any("different runs" in choice.why for choice in trajectory.choices)


def test_the_epoch_means_beside_a_finer_recording_are_not_counted(series, run):
    values = np.linspace(1e-3, 0, 1000)
    fine = series("lr", values, path="run/a.jsonl", kind="jsonl", step=np.arange(1000.0))
    means = series("train_lr", values.reshape(10, 100).mean(1), path="run/log.txt", kind="json", epoch=np.arange(10.0))
    trajectory = reconstruct(run(means, fine))
    assert trajectory.lr_points == 1000
    assert any("more finely" in choice.why for choice in trajectory.choices)


def test_of_a_pickled_table_of_several_runs_the_first_is_taken_with_its_own_loss(series, run):
    steps = np.arange(50.0)
    pieces = [
        series(f"{name}/{column}", np.full(50, value), path="runs.pkl", kind="pickle", step=steps)
        for name, value in (("cosine", 0.1), ("wsd", 0.2))
        for column in ("lr", "Metrics/loss")
    ]
    trajectory = reconstruct(run(*pieces))
    assert [group.tag for group in trajectory.groups] == ["cosine/lr"]
    assert [curve.tag for curve in trajectory.curves] == ["cosine/Metrics/loss"]
    assert any(choice.what == "run within the file" and choice.rejected == ("wsd/lr",) for choice in trajectory.choices)


def test_the_named_tag_is_taken_whatever_it_is_called(series, run):
    steps = np.arange(20.0)
    pieces = [series("lr", np.full(20, 0.1), step=steps), series("alpha", np.full(20, 0.2), step=steps)]
    trajectory = reconstruct(run(*pieces), lr_tag="alpha")
    assert [group.tag for group in trajectory.groups] == ["alpha"]
    assert reconstruct(run(*pieces), lr_tag="beta").groups == ()

"""Which series are the losses and what else is kept beside the LR."""

from __future__ import annotations

import numpy as np

from lrdoctor.reconstruct import reconstruct

STEPS = np.arange(60.0)
LR = np.linspace(0.1, 0.01, 60)


def test_the_denser_of_two_whole_losses_comes_first(series, run):
    pieces = [
        series("lr", LR, step=STEPS),
        series("train_loss_epoch", np.ones(6), step=STEPS[9::10], origin=np.arange(6) * 10 + 11),
        series("train_loss_step", np.ones(60), step=STEPS),
    ]
    assert reconstruct(run(*pieces)).loss.tag == "train_loss_step"


def test_the_whole_loss_comes_before_its_parts(series, run):
    pieces = [series(tag, LR, step=STEPS) for tag in ("lr", "loss_cls", "loss_box_reg", "total_loss")]
    trajectory = reconstruct(run(*pieces))
    assert trajectory.loss.tag == "total_loss"
    assert {curve.tag for curve in trajectory.curves} == {"loss_cls", "loss_box_reg", "total_loss"}


def test_parts_are_summed_where_no_whole_loss_was_logged(series, run):
    pieces = [series("lr/pg0", LR, epoch=STEPS)]
    pieces += [
        series(f"train/{part}_loss", np.full(60, value), epoch=STEPS) for part, value in (("box", 1.0), ("cls", 2.0))
    ]
    pieces += [series(f"val/{part}_loss", np.full(60, 5.0), epoch=STEPS) for part in ("box", "cls")]
    trajectory = reconstruct(run(*pieces))
    assert trajectory.loss.tag == "sum of train/box_loss, train/cls_loss"
    assert trajectory.loss.values.tolist() == [3.0] * 60
    assert trajectory.curve("eval-loss").values.tolist() == [10.0] * 60


def test_losses_of_policy_and_value_are_not_added(series, run):
    pieces = [
        series(tag, LR, step=STEPS) for tag in ("Policy/Learning Rate", "Losses/Policy Loss", "Losses/Value Loss")
    ]
    assert reconstruct(run(*pieces)).loss.tag == "Losses/Policy Loss"


def test_the_evaluation_loss_stands_in_where_no_training_loss_was_logged(series, run):
    pieces = [series("lr", LR, step=STEPS), series("val_loss", LR, step=STEPS)]
    assert reconstruct(run(*pieces)).loss.role == "eval-loss"


def test_validation_comes_before_test(series, run):
    pieces = [series(tag, LR, step=STEPS) for tag in ("lr", "test_loss", "val_loss")]
    assert reconstruct(run(*pieces)).curve("eval-loss").tag == "val_loss"


def test_a_loss_in_an_evaluation_folder_is_an_evaluation_loss(series, run):
    pieces = [
        series("learning_rate", LR, kind="tensorboard", path="run/train/events.1", step=STEPS),
        series("Loss/total_loss", LR, kind="tensorboard", path="run/train/events.1", step=STEPS),
        series("Loss/total_loss", LR[:2], kind="tensorboard", path="run/eval/events.2", step=[20.0, 40.0]),
    ]
    trajectory = reconstruct(run(*pieces))
    assert len(trajectory.curve("train-loss")) == 60
    assert trajectory.curve("eval-loss").steps.tolist() == [20.0, 40.0]


def test_a_validation_counter_of_its_own_is_not_put_on_the_step_axis(series, run):
    pieces = [
        series("lr-SGD", LR, kind="tensorboard", path="run/events.1", step=STEPS),
        series("val_loss_step", np.ones(600), kind="tensorboard", path="run/events.1", step=np.arange(600.0)),
    ]
    trajectory = reconstruct(run(*pieces))
    assert trajectory.curve("eval-loss") is None
    assert trajectory.steps == 60


def test_momentum_gradient_norm_and_metrics_have_their_roles(series, run):
    tags = ("lr-SGD", "lr-SGD-momentum", "grad_norm", "val_acc", "train_loss")
    trajectory = reconstruct(run(*(series(tag, LR, step=STEPS) for tag in tags)))
    assert [curve.role for curve in trajectory.curves] == ["train-loss", "momentum", "grad-norm", "metric"]


def test_the_named_loss_comes_first_whatever_it_is_called(series, run):
    pieces = [series(tag, LR, step=STEPS) for tag in ("lr", "train_loss", "objective")]
    trajectory = reconstruct(run(*pieces), loss_tag="objective")
    assert (trajectory.loss.tag, trajectory.loss.role) == ("objective", "train-loss")


def test_a_test_after_training_does_not_lengthen_the_run(series, run):
    pieces = [series("lr", LR, step=STEPS), series("test_loss", [1.0], step=[60.0], origin=[70])]
    assert reconstruct(run(*pieces)).steps == 60


def test_losses_in_another_file_are_kept_on_the_same_axis(series, run):
    pieces = [
        series("lr", LR, path="run/a.jsonl", kind="jsonl", step=STEPS),
        series("train_loss", LR, path="run/metrics.csv", step=STEPS),
    ]
    assert reconstruct(run(*pieces)).loss.steps.tolist() == STEPS.tolist()

"""Sessions, overlaps, attempts: cutting a run and going on must not change what was trained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdoctor.reconstruct import reconstruct


def lr_at(steps):
    return 0.1 * 0.999 ** np.asarray(steps, dtype=np.float64)


@st.composite
def resumed_logs(draw):
    """(logged steps in file order, session of each point, steps of the run): a run cut and resumed several times."""
    interval = draw(st.sampled_from([1, 5, 50]))
    total = draw(st.integers(40, 300))
    grid = np.arange(total) * interval
    stops = sorted(draw(st.lists(st.integers(10, total - 2), max_size=4, unique=True)))
    begin, pieces = 0, []
    for stop in [*stops, total]:
        pieces.append(grid[begin:stop])
        begin = draw(st.integers(max(5, stop - 8), stop))
    return pieces, grid


@settings(max_examples=80, deadline=None)
@given(log=resumed_logs(), twice=st.booleans())
def test_any_cut_and_resume_within_one_file_stitches_back_to_the_run(series, run, log, twice):
    pieces, grid = log
    logged = np.concatenate(pieces).astype(float)
    logged = np.repeat(logged, 2) if twice else logged
    trajectory = reconstruct(run(series("lr", lr_at(logged), step=logged)))
    assert trajectory.lead.steps.tolist() == grid.tolist()
    assert np.array_equal(trajectory.lead.lr, lr_at(grid))
    assert trajectory.attempts == 1
    assert trajectory.lr_points == len(logged)


@settings(max_examples=60, deadline=None)
@given(log=resumed_logs(), order=st.randoms())
def test_any_cut_and_resume_over_several_files_stitches_back_whatever_their_order(series, run, log, order):
    pieces, grid = log
    made = [
        series("lr", lr_at(piece), kind="tensorboard", path=f"run/events.{n}", step=piece, wall=1e9 + n * 1e6 + piece)
        for n, piece in enumerate(pieces)
        if len(piece)
    ]
    shuffled = list(made)
    order.shuffle(shuffled)
    trajectory = reconstruct(run(*shuffled))
    assert trajectory.lead.steps.tolist() == grid.tolist()
    assert len(trajectory.segments) == len(made)
    assert [segment.resumed for segment in trajectory.segments] == [False] + [True] * (len(made) - 1)


def test_what_the_later_session_trained_is_kept_and_the_earlier_points_are_an_overlap(series, run):
    steps = np.concatenate([np.arange(100), np.arange(80, 150)]).astype(float)
    values = np.concatenate([np.full(100, 0.1), np.full(70, 0.2)])
    trajectory = reconstruct(run(series("lr", values, step=steps)))
    assert trajectory.lead.lr[79] == 0.1
    assert trajectory.lead.lr[80] == 0.2
    assert trajectory.lead.segment.tolist() == [0] * 80 + [1] * 70
    (overlap,) = trajectory.overlaps
    assert overlap.steps.tolist() == list(range(80, 100))
    assert (overlap.lr == 0.1).all()
    assert [(s.first_step, s.last_step, s.resumed) for s in trajectory.segments] == [(0, 79, False), (80, 149, True)]


def test_a_start_from_scratch_is_another_attempt_and_the_longest_is_shown(series, run):
    steps = np.concatenate([np.arange(30), np.arange(100), np.arange(20)]).astype(float)
    values = np.concatenate([np.full(30, 0.1), np.full(100, 0.2), np.full(20, 0.3)])
    trajectory = reconstruct(run(series("lr", values, step=steps)))
    assert trajectory.attempts == 3
    assert (trajectory.lead.lr == 0.2).all()
    assert trajectory.steps == 100
    assert trajectory.lr_points == 150
    assert any(choice.what == "attempt" and len(choice.rejected) == 2 for choice in trajectory.choices)


def test_of_two_equal_attempts_the_last_is_shown(series, run):
    epochs = np.tile(np.arange(50.0), 2)
    values = np.repeat([0.1, 0.2], 50)
    trajectory = reconstruct(run(series("learning_rate", values, epoch=epochs)))
    assert trajectory.attempts == 2
    assert (trajectory.lead.lr == 0.2).all()
    assert trajectory.lr_points == 100


def test_a_counter_that_starts_over_while_the_loss_goes_on_is_no_new_attempt(series, run):
    steps = np.tile(np.arange(100.0), 2)
    loss = 4.0 / (1.0 + np.arange(200.0))
    trajectory = reconstruct(run(series("lr", np.full(200, 0.1), step=steps), series("loss", loss, step=steps)))
    assert trajectory.attempts == 1
    assert [segment.resumed for segment in trajectory.segments] == [False, True]


def test_a_loss_that_starts_over_with_the_counter_is_a_new_attempt(series, run):
    steps = np.tile(np.arange(100.0), 2)
    loss = 4.0 / (1.0 + steps)
    trajectory = reconstruct(run(series("lr", np.full(200, 0.1), step=steps), series("loss", loss, step=steps)))
    assert (trajectory.attempts, len(trajectory.segments)) == (2, 1)


def test_a_failed_first_file_is_not_counted_among_the_points(series, run):
    failed = series("lr", [0.1], kind="tensorboard", path="run/events.0", step=[0], wall=[1.0])
    trained = series(
        "lr", np.full(50, 0.1), kind="tensorboard", path="run/events.1", step=np.arange(50), wall=np.arange(50) + 9
    )
    trajectory = reconstruct(run(failed, trained))
    assert trajectory.attempts == 2
    assert trajectory.lr_points_by_source == (("run/events.1", 50),)


def test_of_several_values_at_one_step_the_last_written_is_kept(series, run):
    steps = np.repeat(np.arange(50.0), 2)[1:]
    values = np.arange(99.0) / 1000
    trajectory = reconstruct(run(series("lr", values, step=steps)))
    assert len(trajectory.lead.steps) == 50
    assert np.array_equal(trajectory.lead.lr, values[::2])
    assert (len(trajectory.segments), trajectory.lr_points) == (1, 99)


@pytest.mark.parametrize(
    ("new_lr", "new_loss", "resumed"),
    [(0.05, 1.5, [False, True]), (None, 1.5, [False]), (0.05, None, [False])],
    ids=["both", "the loss alone", "the learning rate alone"],
)
def test_a_step_with_two_learning_rates_and_two_losses_was_trained_twice(series, run, new_lr, new_loss, resumed):
    steps = np.concatenate([np.arange(0, 105, 5), np.arange(100, 205, 5)]).astype(float)
    lr, loss = lr_at(steps), 2.0 - steps / 400.0
    lr[21:] = lr[21:] if new_lr is None else new_lr
    loss[21:] = loss[21:] if new_loss is None else new_loss
    trajectory = reconstruct(run(series("lr", lr, step=steps), series("train/loss", loss, step=steps)))
    assert [segment.resumed for segment in trajectory.segments] == resumed
    assert len(trajectory.lead.steps) == 41
    assert trajectory.lead.lr[20] == lr[21]


def test_a_point_written_late_is_no_restart(series, run):
    steps = np.array([0, 1, 2, 3, 4, 6, 5, 7, 8, 9, 10], dtype=float)
    trajectory = reconstruct(run(series("lr", lr_at(steps), step=steps)))
    assert trajectory.lead.steps.tolist() == list(range(11))
    assert len(trajectory.segments) == 1


def test_a_hole_in_an_even_log_begins_a_session(series, run):
    steps = np.concatenate([np.arange(0, 500, 5), np.arange(2000, 2500, 5)]).astype(float)
    trajectory = reconstruct(run(series("lr", lr_at(steps), step=steps)))
    assert [(s.first_step, s.last_step) for s in trajectory.segments] == [(0, 495), (2000, 2495)]


def test_a_writing_process_the_file_tells_apart_begins_a_session(series, run):
    steps = np.arange(100.0)
    trajectory = reconstruct(run(series("lr", lr_at(steps), step=steps, session=np.repeat([0, 1], 50))))
    assert [(s.first_step, s.last_step) for s in trajectory.segments] == [(0, 49), (50, 99)]


def test_a_dense_loss_follows_the_sessions_of_a_sparse_lr(series, run):
    loss_steps = np.concatenate([np.arange(0, 1000, 10), np.arange(760, 1500, 10)]).astype(float)
    lines = np.arange(len(loss_steps)) + 2
    sparse = loss_steps % 200 == 0
    session = np.repeat([0.0, 1.0], [100, 74])
    pieces = [
        series("lr", lr_at(loss_steps[sparse]), step=loss_steps[sparse], origin=lines[sparse]),
        series("train_loss", session, step=loss_steps, origin=lines),
    ]
    trajectory = reconstruct(run(*pieces))
    assert trajectory.lead.steps.tolist() == [0, 200, 400, 600, 800, 1000, 1200, 1400]
    loss = trajectory.loss
    assert loss.steps.tolist() == list(range(0, 1500, 10))
    assert np.array_equal(loss.values, (loss.steps >= 760).astype(float))
    assert np.array_equal(loss.segment, loss.values.astype(int))


def test_a_log_in_no_order_of_training_is_sorted_and_not_cut(series, run):
    steps = np.random.default_rng(0).permutation(200).astype(float)
    trajectory = reconstruct(run(series("lr", lr_at(steps), step=steps)))
    assert trajectory.lead.steps.tolist() == list(range(200))
    assert len(trajectory.segments) == 1


@pytest.mark.parametrize("points", [1, 2, 3])
def test_a_run_of_a_few_points_is_reconstructed(series, run, points):
    steps = np.arange(points) * 10.0
    trajectory = reconstruct(run(series("lr", lr_at(steps), step=steps)))
    assert trajectory.lr_points == len(trajectory.lead.steps) == points


def test_a_million_points_keep_their_values(series, run):
    steps = np.arange(1e6)
    trajectory = reconstruct(run(series("lr", lr_at(steps / 1e3), step=steps)))
    assert np.array_equal(trajectory.lead.lr, lr_at(steps / 1e3))

"""What real logs do to a reader, one test a quirk, from files on disk to the trajectory.

| quirk | test |
| --- | --- |
| several event files in a folder, some empty | `test_event_files_of_sessions_are_joined_and_empty_ones_ignored` |
| sessions of one folder with other base LRs | `test_sessions_with_other_rates_stay_sessions` |
| a folder mixes two runs (CSV of one, event files of another) | `test_a_table_of_another_run_is_set_aside_and_told` |
| a checkpoint of another run than the log | `test_a_checkpoint_of_another_run_does_not_change_what_was_logged` |
| a restart appended to the same file | `test_a_start_over_in_the_same_file_is_another_attempt` |
| a resume repeats some steps with other values | `test_repeated_steps_of_a_resume_are_an_overlap` |
| an in-epoch counter that goes back is no restart | `test_a_counter_within_the_epoch_is_no_restart` |
| every LR twice per step, with adjacent steps' values | `test_of_two_values_at_a_step_the_last_is_kept` |
| an event file ends inside a record | `test_an_event_file_cut_in_a_record_keeps_the_others` |
| a .wandb file ends inside a block, or has no exit record | `readers/test_wandb_log.py` |
| a file of 0 bytes | `test_an_empty_file_beside_a_log_costs_nothing` |
| a CSV or a text ends with half a number | `test_half_a_number_at_the_end_is_no_number` |
| git LFS pointers instead of all or part of the data | `test_pointers_are_told_and_the_rest_is_read` |
| the LR as text inside a cell, one or two groups | `test_a_rate_printed_as_a_list_is_a_group_each` |
| LR sparse against the loss | `test_a_sparse_rate_keeps_its_own_rows` |
| LR rows and loss rows apart (Lightning) | `test_rate_and_loss_on_rows_of_their_own` |
| the same series in two files | `test_the_same_series_in_two_files_counts_once` (YOLO, mmengine, LLaMA-Factory) |
| the state of every checkpoint repeats the history | `test_the_histories_of_all_checkpoints_are_one` |
| three LR series a run (YOLO's bias group) | `test_yolos_three_groups_are_groups` |
| two optimizers interleaved in one text | `test_two_optimizers_in_one_stream_are_both_read` |
| rounding to five decimals (mmcv): 1e-6 reads 0 | `test_five_decimals_are_known_for_what_they_are` |
| rounding to four decimals (flair) | `test_four_decimals_are_known_for_what_they_are` |
| float32 noise counts as constant (Keras) | `test_noise_of_the_representation_is_constant[float32]` |
| noise of a running mean counts as constant (MAE) | `test_noise_of_the_representation_is_constant[mean]` |
| header cells padded with blanks, columns in another order | `test_padded_and_reordered_columns_are_the_same` |
| NaN literals in JSON; NaN losses | `test_nan_is_read_in_json_and_kept_as_a_loss` |
| first LR exactly 0, last LR exactly 0 | `test_a_rate_of_zero_is_a_rate` |
| four or fewer LR points | `test_few_points_make_a_trajectory` |
| the largest LR first (no warmup), or last (still rising) | `test_the_peak_may_stand_at_either_end` |
| an event file that is images and histograms for the most part | `test_what_is_no_scalar_is_passed_over` |
| a checkpoint that names classes of absent packages | `test_classes_of_absent_packages_are_no_hindrance` |
| `training_args.bin` as JSON text | `test_training_arguments_in_json_are_read` |
| `training_args.bin` pickled | `readers/test_checkpoint_frameworks.py` |
| HF's scheduler.pt without its lambda | `test_a_lambda_schedule_without_its_lambda_keeps_its_counters` |
| the LR as a tensor in an event file | `readers/test_tensorboard.py` |
| the LR in the text beside an event file, and not in it | `test_a_rate_that_only_the_text_has_is_found` |
| parts of a loss and no total (YOLO) | `test_parts_of_a_loss_without_a_total_are_summed` |
| several counters in a row, the right one not first | `test_the_counter_of_updates_need_not_come_first` |
| step means update, epoch, thousandths, environment steps | `reconstruct/test_axis.py` |
| names with a space, a slash, a dash, in capitals | `reconstruct/test_pick.py` |
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from lrdoctor.identify import identify
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.readers import read
from lrdoctor.readers.checksum import masked_crc
from lrdoctor.reconstruct import reconstruct

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def framed(*made: Event) -> bytes:
    """An event file: its version, then these events."""
    records = []
    for event in (Event(wall_time=1.7e9, file_version="brain.Event:2"), *made):
        content = event.SerializeToString()
        size = struct.pack("<Q", len(content))
        records.append(size + struct.pack("<I", masked_crc(size)) + content + struct.pack("<I", masked_crc(content)))
    return b"".join(records)


def scalars(step: int, wall: float = 1.7e9, **values: float) -> Event:
    named = [Summary.Value(tag=tag.replace("__", "/"), simple_value=value) for tag, value in values.items()]
    return Event(wall_time=wall + step, step=step, summary=Summary(value=named))


def events(path: Path, steps: Sequence[int], *, peak: float = 0.1, start: int = 0) -> None:
    """lr = peak / (1 + step) and a falling loss."""
    made = (scalars(step, 1.7e9 + start, lr=peak / (1 + step), loss=2 - step / 1000) for step in steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(framed(*made))


def table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def only(path: Path) -> tuple[Run, Trajectory]:
    (run,) = read(str(path))
    return run, reconstruct(run)


def rates(found: Trajectory) -> list[float]:
    assert found.lead is not None
    return [float(rate) for rate in found.lead.lr]


def why(found: Trajectory, what: str) -> str:
    return " ".join(choice.why for choice in found.choices if choice.what == what)


# Several files, several runs


def test_event_files_of_sessions_are_joined_and_empty_ones_ignored(tmp_path: Path) -> None:
    events(tmp_path / "events.out.tfevents.1700000000.h.1.0", range(0, 50))
    (tmp_path / "events.out.tfevents.1700000050.h.2.0").write_bytes(framed())
    events(tmp_path / "events.out.tfevents.1700000100.h.3.0", range(50, 90), start=100)
    run, found = only(tmp_path)
    assert (found.steps, len(found.segments), found.lr_points) == (90, 2, 90)
    assert [source.points for source in run.sources] == [100, 0, 80]
    assert any("no scalar in it" in str(note) for source in run.sources for note in source.notes)


def test_sessions_with_other_rates_stay_sessions(tmp_path: Path) -> None:
    for number, peak in enumerate((0.1, 0.5, 0.02)):
        path = tmp_path / f"events.out.tfevents.17000000{number}0.h.{number}.0"
        events(path, range(30 * number, 30 * number + 30), peak=peak, start=1000 * number)
    _, found = only(tmp_path)
    assert [segment.first_step for segment in found.segments] == [0, 30, 60]
    assert rates(found)[30] == pytest.approx(0.5 / 31)


def test_a_table_of_another_run_is_set_aside_and_told(tmp_path: Path) -> None:
    """A CSV of an SGD run and the event files of an Adam run in one version_0."""
    table(tmp_path / "metrics.csv", "step,lr-SGD,train_loss", [(n, 0.5 - n / 100, 2) for n in range(0, 40, 5)])
    made = (scalars(n, **{"lr-Adam": 1e-3 / (1 + n), "train_loss": 1.0}) for n in range(50))
    (tmp_path / "events.out.tfevents.1.h.1.0").write_bytes(framed(*made))
    _, found = only(tmp_path)
    assert [group.tag for group in found.groups] == ["lr-Adam"]
    assert "seem to be of different runs" in why(found, "source of the learning rate")


def test_a_checkpoint_of_another_run_does_not_change_what_was_logged(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    events(tmp_path / "events.out.tfevents.1.h.1.0", range(20))
    groups = [{"lr": 7.0, "initial_lr": 7.0, "params": [0]}]
    held = {"state_dict": {"w": torch.ones(1)}, "global_step": 123_456, "epoch": 99, "pytorch-lightning_version": "2.0"}
    torch.save({**held, "optimizer_states": [{"state": {}, "param_groups": groups}]}, tmp_path / "last.ckpt")
    run, found = only(tmp_path)
    assert run.checkpoints[0].global_step == 123_456
    assert (found.steps, found.peak_lr) == (20, pytest.approx(0.1))


# Restarts and repetitions


STARTS = [(e, 0.1 / (1 + e), 2 - e / 50) for attempt in (12, 20) for e in range(attempt)]


def keras_twice(folder: Path) -> None:
    table(folder / "training_log.csv", "epoch,learning_rate,loss", STARTS)


def mae_twice(folder: Path) -> None:
    lines(folder / "log.txt", [{"train_lr": lr, "train_loss": loss, "epoch": e} for e, lr, loss in STARTS])


def nested_twice(folder: Path) -> None:
    history = [{"_step": n, "train": {"epoch": e, "lr": lr, "loss": loss}} for n, (e, lr, loss) in enumerate(STARTS)]
    (folder / "history.json").write_text(json.dumps(history))


@pytest.mark.parametrize("write", [keras_twice, mae_twice])
def test_a_start_over_in_the_same_file_is_another_attempt(write: Any, tmp_path: Path) -> None:
    write(tmp_path)
    _, found = only(tmp_path)
    assert (found.attempts, found.steps, len(rates(found))) == (2, 20, 20)
    assert "2 times" in why(found, "attempt")


def test_a_nested_export_of_two_attempts_keeps_every_point(tmp_path: Path) -> None:
    nested_twice(tmp_path)
    run, found = only(tmp_path)
    assert {item.tag for item in run.series} >= {"train/lr", "train/loss"}
    assert found.lr_points == len(STARTS)


def test_repeated_steps_of_a_resume_are_an_overlap(tmp_path: Path) -> None:
    """detectron2's metrics.json: a resume from iteration 60 writes 60 to 79 again."""
    first = [{"iteration": n, "lr": 0.1 / (1 + n), "total_loss": 3 - n / 100} for n in range(0, 80)]
    second = [{"iteration": n, "lr": 0.2 / (1 + n), "total_loss": 2.5 - n / 100} for n in range(60, 120)]
    lines(tmp_path / "metrics.json", [*first, *second])
    _, found = only(tmp_path)
    assert (found.steps, found.lr_points, len(found.segments)) == (120, 140, 2)
    assert [len(overlap.steps) for overlap in found.overlaps] == [20]
    assert rates(found)[60] == pytest.approx(0.2 / 61)


def test_a_counter_within_the_epoch_is_no_restart(tmp_path: Path) -> None:
    records = [{"mode": "train", "epoch": e, "iter": i, "lr": 0.02 / e} for e in (1, 2, 3) for i in (50, 100)]
    lines(tmp_path / "None.log.json", records)
    _, found = only(tmp_path)
    assert (found.attempts, len(found.segments), found.steps, found.steps_per_epoch) == (1, 1, 300, 100)


def test_of_two_values_at_a_step_the_last_is_kept(tmp_path: Path) -> None:
    """OpenPCDet writes the LR before and after the scheduler's step."""
    made = [scalars(n, meta_data__learning_rate=lr) for n in range(1, 50) for lr in (1 / n, 1 / (n + 1))]
    (tmp_path / "events.out.tfevents.1.h.1.0").write_bytes(framed(*made))
    _, found = only(tmp_path)
    assert (found.lr_points, len(rates(found))) == (98, 49)
    assert rates(found)[0] == 0.5
    assert "last written" in why(found, "repeated steps")


# Cuts and pointers


def test_an_event_file_cut_in_a_record_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1.h.1.0"
    events(path, range(30))
    path.write_bytes(path.read_bytes()[:-7])
    run, found = only(tmp_path)
    assert found.lr_points == 29
    assert len(run.sources[0].notes) == 1


@pytest.mark.parametrize("name", ["run-abc.wandb", "events.out.tfevents.2.h.1.0", "metrics.csv", "log.txt"])
def test_an_empty_file_beside_a_log_costs_nothing(name: str, tmp_path: Path) -> None:
    table(tmp_path / "progress.csv", "step,lr,loss", [(n, 0.1, 2) for n in range(9)])
    (tmp_path / name).touch()
    assert only(tmp_path)[1].lr_points == 9


def test_half_a_number_at_the_end_is_no_number(tmp_path: Path) -> None:
    path = table(tmp_path / "metrics.csv", "step,loss,lr", [(n, 2.5, 0.00123) for n in range(9)])
    path.write_text(path.read_text() + "9,2.4,0.0")
    run, found = only(tmp_path)
    assert rates(found) == [0.00123] * 9
    assert any("may be cut" in str(note) for note in run.sources[0].notes)


def test_pointers_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    table(tmp_path / "progress.csv", "step,lr,loss", [(n, 0.1, 2) for n in range(9)])
    (tmp_path / "events.out.tfevents.1.h.1.0").write_text(POINTER)
    assert only(tmp_path)[1].lr_points == 9
    (tmp_path / "progress.csv").write_text(POINTER)
    with pytest.warns(UserWarning, match="git lfs pull"):
        assert read(str(tmp_path)) == []


# Names and cells


@pytest.mark.parametrize(("cell", "groups"), [('"[2e-07, 2e-06]"', 2), ('"[2e-07]"', 1), ("2e-07", 1)])
def test_a_rate_printed_as_a_list_is_a_group_each(cell: str, groups: int, tmp_path: Path) -> None:
    table(tmp_path / "summary.csv", "epoch,train_loss,train_lr", [(n, 2.5 - n / 10, cell) for n in range(9)])
    _, found = only(tmp_path)
    assert len(found.groups) == groups
    assert rates(found) == [2e-07] * 9


def test_a_sparse_rate_keeps_its_own_rows(tmp_path: Path) -> None:
    """nanoGPT's W&B history: the LR at each evaluation, the loss at each log interval."""
    rows = [(n, 0.1 / (1 + n) if n % 25 == 0 else "", 3 - n / 1000) for n in range(500)]
    table(tmp_path / "history.csv", "iter,lr,train/loss", rows)
    _, found = only(tmp_path)
    assert (found.lr_points, found.steps) == (20, 500)
    assert found.loss is not None
    assert len(found.loss) == 500


def test_rate_and_loss_on_rows_of_their_own(tmp_path: Path) -> None:
    rows = [row for n in range(0, 100, 10) for row in ((0.1 / (1 + n), n, "", ""), ("", n, 2.5, n // 50))]
    table(tmp_path / "metrics.csv", "lr-SGD,step,train_loss_step,epoch", rows)
    _, found = only(tmp_path)
    assert (found.lr_points, found.steps) == (10, 91)
    assert found.loss is not None
    assert found.loss.steps.tolist() == found.groups[0].steps.tolist()


def test_padded_and_reordered_columns_are_the_same(tmp_path: Path) -> None:
    table(
        tmp_path / "a" / "results.csv", "  epoch,   train/box_loss,   x/lr0", [(n, 2, 0.1 - n / 100) for n in range(9)]
    )
    table(tmp_path / "b" / "results.csv", "x/lr0,epoch,train/box_loss", [(0.1 - n / 100, n, 2) for n in range(9)])
    first, second = (reconstruct(run) for run in read(str(tmp_path)))
    assert rates(first) == rates(second)
    assert first.step_unit == second.step_unit == "epoch"


# The same thing twice


def yolo(folder: Path) -> int:
    rows = [(n, 2 - n / 50, 0.01 - n / 5000) for n in range(40)]
    table(folder / "results.csv", "epoch,train/box_loss,x/lr0", rows)
    made = (scalars(n, x__lr0=lr, train__box_loss=loss) for n, loss, lr in rows)
    (folder / "events.out.tfevents.1.h.1.0").write_bytes(framed(*made))
    return len(rows)


def mmengine(folder: Path) -> int:
    records = [{"lr": 0.1 / (1 + n), "loss": 2.0, "epoch": 1, "iter": n, "step": n} for n in range(40)]
    for path in (folder / "vis_data" / "scalars.json", folder / "vis_data" / "20230605_200958.json"):
        path.parent.mkdir(exist_ok=True)
        lines(path, records)
    return len(records)


def llama_factory(folder: Path) -> int:
    rows = [(n, 1e-4 / (1 + n), 2 - n / 100) for n in range(5, 101, 5)]
    log = [{"current_steps": n, "total_steps": 100, "lr": lr, "loss": loss, "epoch": n / 50} for n, lr, loss in rows]
    lines(folder / "trainer_log.jsonl", log)
    history = [{"step": n, "learning_rate": lr, "loss": loss, "epoch": n / 50} for n, lr, loss in rows]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 100, "log_history": history}))
    return len(rows)


@pytest.mark.parametrize("write", [yolo, mmengine, llama_factory])
def test_the_same_series_in_two_files_counts_once(write: Any, tmp_path: Path) -> None:
    points = write(tmp_path)
    _, found = only(tmp_path)
    assert found.lr_points == points
    assert "counted once" in why(found, "source of the learning rate")


def test_the_histories_of_all_checkpoints_are_one(tmp_path: Path) -> None:
    for last in (10, 20, 30):
        folder = tmp_path / f"checkpoint-{last}"
        folder.mkdir()
        history = [{"step": n, "learning_rate": 1e-4 / n, "loss": 2.0, "epoch": n / 10} for n in range(1, last + 1)]
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": last, "log_history": history}))
    run, found = only(tmp_path)
    assert (found.lr_points, found.steps) == (30, 30)
    copies = [source for source in run.sources if any("a copy of the start" in str(note) for note in source.notes)]
    assert len(copies) == 2


def test_yolos_three_groups_are_groups(tmp_path: Path) -> None:
    rows = [(n, 2.0, 0.01, 0.01, 0.1 - n / 500) for n in range(20)]
    table(tmp_path / "results.csv", "epoch,train/box_loss,x/lr0,x/lr1,x/lr2", rows)
    _, found = only(tmp_path)
    assert [group.tag for group in found.groups] == ["x/lr0", "x/lr1", "x/lr2"]


def test_two_optimizers_in_one_stream_are_both_read(tmp_path: Path) -> None:
    """DeepSpeed-Chat's step 3 prints actor and critic in turn, under the same names: both are read, in file order."""
    text = "".join(
        f"[Rank 0] step={n}, skipped=0, lr=[{lr!r}], mom=[0.9]\n" for n in range(10, 100, 10) for lr in (1e-5, 5e-6)
    )
    (tmp_path / "training.log").write_text(text)
    run, found = only(tmp_path)
    (series,) = (item for item in run.series if item.tag.startswith("lr"))
    assert series.values.tolist() == [1e-5, 5e-6] * 9
    assert found.lr_points == 18
    assert "9 points left out" in " ".join(choice.chosen for choice in found.choices)


def test_a_rate_that_only_the_text_has_is_found(tmp_path: Path) -> None:
    made = (scalars(step, train__loss=2 - step / 100) for step in range(1, 41))
    (tmp_path / "events.out.tfevents.1700000000.host.1.0").write_bytes(framed(*made))
    text = "".join(f"step: {step}, loss: {2 - step / 100:.4f}, lr: {0.1 / step:.4e}\n" for step in range(1, 41))
    (tmp_path / "train.log").write_text(text)
    run, found = only(tmp_path)
    assert {source.kind for source in run.sources} == {"tensorboard", "text"}
    assert rates(found) == pytest.approx([0.1 / step for step in range(1, 41)], rel=1e-3)


def test_parts_of_a_loss_without_a_total_are_summed(tmp_path: Path) -> None:
    rows = [(n, 2 - n / 40, 1.5 - n / 50, 1.2 - n / 90, 1.6 - n / 60, 0.1 - n / 500) for n in range(1, 25)]
    header = "epoch,train/box_loss,train/cls_loss,train/dfl_loss,val/box_loss,lr/pg0"
    table(tmp_path / "results.csv", header, rows)
    run, found = only(tmp_path)
    assert {"train/box_loss", "train/cls_loss", "train/dfl_loss", "val/box_loss"} <= set(run.tags)
    assert [group.tag for group in found.groups] == ["lr/pg0"]
    assert found.loss is not None
    assert found.loss.values.tolist() == pytest.approx([sum(row[1:4]) for row in rows])


def test_the_counter_of_updates_need_not_come_first(tmp_path: Path) -> None:
    rows = [(n, 1 + n // 10, 10 * n, 0.1 / (1 + n), 2 - n / 50) for n in range(1, 41)]
    table(tmp_path / "log.csv", "_step,epoch,global_step,lr,loss", rows)
    _, found = only(tmp_path)
    assert next(choice.chosen for choice in found.choices if choice.what == "step axis") == "global_step"
    assert found.step_unit == "update"


# Rounding


def test_five_decimals_are_known_for_what_they_are(tmp_path: Path) -> None:
    values = [round(1e-6 + 4e-5 * n, 5) for n in range(40)]
    records = [{"mode": "train", "epoch": 1, "iter": n, "lr": lr, "loss": 2.0} for n, lr in enumerate(values, 1)]
    lines(tmp_path / "None.log.json", records)
    _, found = only(tmp_path)
    assert rates(found)[0] == 0.0
    assert found.lr_quantum == pytest.approx(1e-5)


def test_four_decimals_are_known_for_what_they_are(tmp_path: Path) -> None:
    """flair's loss.tsv: an LR halved now and then, printed with four decimals."""
    rows = [f"{n}\t12:00:00\t{0.1 / 2 ** (n // 10):.4f}\t{2 - n / 100}" for n in range(60)]
    (tmp_path / "loss.tsv").write_text("\n".join(["EPOCH\tTIMESTAMP\tLEARNING_RATE\tTRAIN_LOSS", *rows]) + "\n")
    _, found = only(tmp_path)
    assert found.step_unit == "epoch"
    assert found.lr_quantum == pytest.approx(1e-4)


FLOAT32_OF_A_THOUSANDTH = 0.0010000000474974513
MEANS_OF_A_CONSTANT = [0.0005, 0.0004999999999999892, 0.0005000000000000012, 0.0005]


@pytest.mark.parametrize("values", [[FLOAT32_OF_A_THOUSANDTH], MEANS_OF_A_CONSTANT], ids=["float32", "mean"])
def test_noise_of_the_representation_is_constant(values: list[float], tmp_path: Path) -> None:
    rows = [(n, repr(values[n % len(values)]), 2) for n in range(40)]
    table(tmp_path / "metrics.csv", "epoch,lr,loss", rows)
    _, found = only(tmp_path)
    lead = identify(found).lead
    assert lead is not None
    assert lead.fit.family == "Constant"


# Values


def test_nan_is_read_in_json_and_kept_as_a_loss(tmp_path: Path) -> None:
    rows = [
        f'{{"iteration": {n}, "lr": 0.1, "total_loss": {"NaN" if n > 5 else 2.5}, "bbox/AP": NaN}}' for n in range(9)
    ]
    (tmp_path / "metrics.json").write_text("\n".join(rows) + "\n")
    _, found = only(tmp_path)
    assert found.lr_points == 9
    assert found.loss is not None
    assert np.isnan(found.loss.values).tolist() == [False] * 6 + [True] * 3


def test_a_rate_of_zero_is_a_rate(tmp_path: Path) -> None:
    values = [0.0, 0.05, 0.1, 0.05, 0.0]
    table(tmp_path / "metrics.csv", "step,lr,loss", [(n, lr, 2) for n, lr in enumerate(values)])
    assert rates(only(tmp_path)[1]) == values


@pytest.mark.parametrize("points", [1, 2, 3, 4])
def test_few_points_make_a_trajectory(points: int, tmp_path: Path) -> None:
    table(tmp_path / "metrics.csv", "step,lr,loss", [(n, 0.1 / (1 + n), 2) for n in range(points)])
    _, found = only(tmp_path)
    assert (found.lr_points, len(rates(found))) == (points, points)
    assert identify(found).lead is not None


@pytest.mark.parametrize("rising", [False, True])
def test_the_peak_may_stand_at_either_end(rising: bool, tmp_path: Path) -> None:
    values = [0.1 - n / 1000 for n in range(40)]
    rows = [(n, lr, 2) for n, lr in enumerate(reversed(values) if rising else values)]
    table(tmp_path / "metrics.csv", "step,lr,loss", rows)
    _, found = only(tmp_path)
    assert (rates(found)[-1] if rising else rates(found)[0]) == found.peak_lr == 0.1


def test_what_is_no_scalar_is_passed_over(tmp_path: Path) -> None:
    """Images and histograms make up nearly all of many event files."""
    image = Summary.Value(
        tag="sample", image=Summary.Image(height=64, width=64, encoded_image_string=b"\x89PNG" * 5000)
    )
    bins = Summary.Value(tag="weights", histo=HistogramProto(bucket=[1.0] * 500, bucket_limit=[1.0] * 500))
    heavy = [Event(wall_time=1.7e9, step=n, summary=Summary(value=[image, bins])) for n in range(20)]
    light = [scalars(n, lr=0.1 / (1 + n)) for n in range(20)]
    content = framed(*(event for pair in zip(heavy, light, strict=True) for event in pair))
    (tmp_path / "events.out.tfevents.1.h.1.0").write_bytes(content)
    assert len(content) > 100 * len(framed(*light))
    run, found = only(tmp_path)
    assert ([item.tag for item in run.series], found.lr_points) == (["lr"], 20)


# Checkpoints


def test_classes_of_absent_packages_are_no_hindrance(tmp_path: Path) -> None:
    """A Lightning file that names pytorch_forecasting's classes, which are not installed where it is read."""
    torch = pytest.importorskip("torch")
    absent = type("Normalizer", (), {"__module__": "pytorch_forecasting.data.encoders"})
    module = type(torch)("pytorch_forecasting.data.encoders")
    module.Normalizer = absent
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pytorch_forecasting", "pytorch_forecasting.data", "pytorch_forecasting.data.encoders"):
            patch.setitem(__import__("sys").modules, name, module)
        held = {
            "pytorch-lightning_version": "2.0", "global_step": 30, "epoch": 2, "state_dict": {"w": torch.ones(2)},
            "hyper_parameters": {"normalizer": absent(), "learning_rate": 0.03},
            "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.03, "initial_lr": 0.03, "params": [0]}]}],
            "lr_schedulers": [{"step_size": 2, "gamma": 0.1, "last_epoch": 2, "base_lrs": [0.03], "_last_lr": [0.003]}],
        }  # fmt: skip
        torch.save(held, tmp_path / "last.ckpt")
    with pytest.raises(Exception, match=r"weights_only|Unsupported|pytorch_forecasting"):
        torch.load(tmp_path / "last.ckpt", weights_only=True)
    run, _ = only(tmp_path)
    (saved,) = run.checkpoints
    assert saved.scheduler is not None
    assert (saved.scheduler.family, saved.scheduler.last_epoch, saved.global_step) == ("StepLR", 2, 30)
    assert run.declared("lr") == 0.03


def test_training_arguments_in_json_are_read(tmp_path: Path) -> None:
    """Old LLaMA-Factory saved them so under the pickle's name."""
    table(tmp_path / "progress.csv", "step,lr,loss", [(n, 0.1, 2) for n in range(9)])
    (tmp_path / "training_args.bin").write_text(json.dumps({"learning_rate": 5e-5, "lr_scheduler_type": "cosine"}))
    run, _ = only(tmp_path)
    assert (run.declared("lr"), run.declared("scheduler")) == (5e-5, "cosine")


def test_a_lambda_schedule_without_its_lambda_keeps_its_counters(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    torch.save(scheduler.state_dict(), folder / "scheduler.pt")
    run, _ = only(tmp_path)
    state = run.checkpoints[0].scheduler
    assert state is not None
    assert (state.family, state.last_epoch, state.base_lrs) == ("LambdaLR", 4, (0.1,))
    assert state.last_lr == pytest.approx((0.02,))


def test_every_test_the_table_names_is_there() -> None:
    here = set(globals())
    for row in (__doc__ or "").splitlines():
        for named in re.findall(r"`(test_\w+)(?:\[\w+\])?`", row):
            assert named in here, named
        for file in re.findall(r"`(\w+/test_\w+\.py)`", row):
            assert (Path(__file__).parent / file).exists(), file

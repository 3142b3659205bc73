"""Text logs, as the tools print them."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.limits import Limits
from lrdoctor.model.run import Note, Series
from lrdoctor.readers import text_log
from lrdoctor.readers.text_rows import printed
from lrdoctor.readers.text_segments import segments

Read = Callable[..., tuple[dict[str, Series], list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a text and reads it: the series by tag, and the notes as text."""

    def run(text: str, name: str = "train.log") -> tuple[dict[str, Series], list[str]]:
        path = tmp_path / name
        path.write_bytes(text.encode())
        items = list(text_log.read(str(path)))
        series = {item.tag: item for item in items if isinstance(item, Series)}
        return series, [str(item) for item in items if isinstance(item, Note)]

    return run


PRINTED = {
    "DeepSpeed": (
        "[2023-04-18 01:46:59,142] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=6, "
        "lr=[9.65e-06, 4.5e-06], mom=[(0.9, 0.95), (0.8, 0.999)]",
        {"step": 10, "lr[0]": 9.65e-06, "lr[1]": 4.5e-06, "mom[0]": 0.9, "mom[1]": 0.8},
    ),
    "YOLOX": (
        "2022-12-23 18:21:39.173 | INFO | yolox.core.trainer:after_iter:253 - epoch: 1/20, iter: 10/132, mem: 336Mb, "
        "iter_time: 0.699s, total_loss: 11.1, iou_loss: 1.8, lr: 7.174e-08, size: 416, ETA: 0:30:38",
        {"epoch": 1, "iter": 10, "total_loss": 11.1, "iou_loss": 1.8, "lr": 7.174e-08},
    ),
    "Megatron": (
        " iteration      100/     500 | consumed samples:         1600 | elapsed time per iteration (ms): 12.3 | "
        "learning rate: 1.500E-04 | global batch size:    16 | lm loss: 9.5E+00 | loss scale: 1.0 | grad norm: 1.25 |",
        {"iteration": 100, "learning rate": 1.5e-4, "lm loss": 9.5, "grad norm": 1.25, "total_steps": 500},
    ),
    "HF Trainer": (
        "{'loss': 1.25, 'grad_norm': 0.5, 'learning_rate': 5e-05, 'epoch': 0.1}",
        {"epoch": 0.1, "loss": 1.25, "grad_norm": 0.5, "learning_rate": 5e-05},
    ),
    "HF Trainer 5": (
        "{'loss': '1.25', 'learning_rate': '5e-05', 'epoch': '0.1'}",
        {"epoch": 0.1, "loss": 1.25, "learning_rate": 5e-05},
    ),
    "nanoGPT, evaluation": (
        "step 250: train loss 2.5, val loss 2.75",
        {"step": 250, "train loss": 2.5, "val loss": 2.75},
    ),
    "nanoGPT": ("iter 10: loss 6.875, time 174.29ms, mfu 0.01%", {"iter": 10, "loss": 6.875}),
    "timm": (
        "Train: 3 [  50/1251 (  4%)]  Loss: 6.5 (6.94)  Time: 0.312s,  820.51/s  LR: 1.000e-05  Data: 0.010 (0.3)",
        {"epoch": 3, "iter": 50, "Loss": 6.5, "LR": 1e-5},
    ),
    "Swin": (
        "[2021-04-13 12:06:01 swin] (main.py 213): INFO Train: [2/300][10/1251]\teta 1:00:00 lr 0.000001\t"
        "time 0.5 (0.6)\tloss 6.9 (6.95)\tgrad_norm 1.5 (inf)",
        {"epoch": 2, "iter": 10, "lr": 1e-6, "loss": 6.9, "grad_norm": 1.5},
    ),
    "MAE": (
        "Epoch: [4]  [  20/1251]  eta: 0:30:00  lr: 0.000001  loss: 6.9434 (6.95)  time: 0.3  data: 0.001",
        {"epoch": 4, "iter": 20, "lr": 1e-6, "loss": 6.9434},
    ),
    "mmengine": (
        "2023/06/05 20:10:13 - mmengine - INFO - Epoch(train)   [1][5/60]  lr: 4.0000e-08  eta: 4:59  loss: 0.5",
        {"epoch": 1, "iter": 5, "lr": 4e-8, "loss": 0.5},
    ),
    "mmengine, validation": (
        "2023/06/05 20:10:13 - mmengine - INFO - Epoch(val) [5][6/6]    loss: 0.25  time: 1.1",
        {"epoch": 5, "iter": 6, "val/loss": 0.25},
    ),
    "mmcv": (
        "2021-05-05 10:00:00,100 - mmdet - INFO - Epoch [1][50/3696]\tlr: 1.978e-03, eta: 10:00:00, loss: 5.5",
        {"epoch": 1, "iter": 50, "lr": 1.978e-3, "loss": 5.5},
    ),
    "detectron2": (
        "[05/05 10:00:00 d2.utils.events]:  eta: 0:10:00  iter: 19  total_loss: 2.9  loss_cls: 1.2  lr: 1.9981e-05",
        {"iter": 19, "total_loss": 2.9, "loss_cls": 1.2, "lr": 1.9981e-05},
    ),
    "fairseq": (
        '2020-01-01 | INFO | train_inner | {"epoch": 1, "loss": "13.5", "num_updates": "100", "lr": "1e-05"}',
        {"epoch": 1, "num_updates": 100, "loss": 13.5, "lr": 1e-5},
    ),
    "tutorials": (
        "Epoch [3/10], Step [100/600], Loss: 0.25, LR: 0.001",
        {"Epoch": 3, "Step": 100, "Loss": 0.25, "LR": 0.001},
    ),
    "PyTorch's ImageNet example": (
        "Epoch: [2][  10/5005]\tTime  0.5 ( 0.6)\tLoss 6.9e+00 (7.0e+00)\tAcc@1   0.25 (  0.1)",
        {"epoch": 2, "iter": 10, "Loss": 6.9, "Acc@1": 0.25},
    ),
    "Caffe": ("I0101 sgd_solver.cpp:105] Iteration 100, lr = 0.001", {"Iteration": 100, "lr": 0.001}),
    "a tensor": ("epoch=3 | lr=tensor(0.001, device='cuda:0') | loss=0.25", {"epoch": 3, "lr": 0.001, "loss": 0.25}),
    "no step": ("lr: 0.001 loss: 2.5", {"lr": 0.001, "loss": 2.5}),
    "a bar that counts epochs": (
        "Epoch:  12%|█▏        | 3/25 [00:10<01:00,  3.30s/it, loss=0.25, lr=1e-3]",
        {"epoch": 3, "loss": 0.25, "lr": 1e-3},
    ),
    "a bar in epochs": (
        " 12%|#2        | 3/25 [00:10<01:00,  3.30s/epoch, loss=0.25, lr=1e-3]",
        {"epoch": 3, "loss": 0.25, "lr": 1e-3},
    ),
}


@pytest.mark.parametrize("tool", PRINTED)
def test_each_tools_line_is_understood(tool: str) -> None:
    text, values = PRINTED[tool]
    found = printed(text)
    assert found is not None
    assert found.values == values


@pytest.mark.parametrize(
    "text",
    [
        "optimizer_params ............. {'lr': 0.0001, 'betas': [0.8, 0.999]}",
        "    optimizer=dict(type='AdamW', lr=0.004, weight_decay=0.05),",
        "Namespace(lr=0.001, epochs=100, batch_size=32)",
        "cfg.MODEL.LOSS_CONFIG.LOSS_WEIGHTS.point_cls_weight: 1.0",
        "Reducing dynamic loss scale from 16384.0 to 8192.0",
        "LINESEARCH LR: 0.000244140625",
        "epoch 3 took 5 minutes",
        "[INFO] step=10, time=0.5",
        "the loss of the epoch",
        "",
    ],
)
def test_settings_and_remarks_are_no_rows(text: str) -> None:
    assert printed(text) is None


def test_a_nan_loss_is_read() -> None:
    found = printed("step: 5 loss: nan lr: 0.1")
    assert found is not None
    assert math.isnan(found.values["loss"])


def test_lines_become_series_with_their_line_numbers(read: Read) -> None:
    series, notes = read("config: lr=0.1\nstep 10 | lr 0.1 | loss 3.5\nsaving\nstep 20 | lr 0.05 | loss 3.25\n")
    assert series["lr"].values.tolist() == [0.1, 0.05]
    assert series["lr"].axes["step"].tolist() == [10, 20]
    assert (series["loss"].origin.tolist(), series["loss"].origin_unit) == ([2, 4], "line")
    assert (series["lr"].kind, notes) == ("text", [])


def bar(at: int, of: int, values: str) -> str:
    return f"Training: {100 * at // of:3}%|##   | {at}/{of} [00:33<09:45,  3.11s/it, {values}]"


def test_every_state_of_a_progress_bar_counts(read: Read) -> None:
    text = "start\n" + "\r".join(bar(at, 100, f"loss=2.5, lr={at}.00e-07") for at in (0, 1, 1, 2)) + "\ndone\n"
    series, _ = read(text)
    assert series["lr"].values.tolist() == [0, 1e-07, 1e-07, 2e-07]
    assert series["lr"].axes["iter"].tolist() == [0, 1, 1, 2]
    assert series["total_steps"].values.tolist() == [100] * 4
    assert series["lr"].origin.tolist() == [2] * 4


def test_a_bar_that_ran_full_and_starts_over_is_the_next_epoch(read: Read) -> None:
    text = "\n".join(bar(at, 10, f"loss=1.5, lr=0.{lap}1") for lap in range(2) for at in (5, 10))
    series, _ = read(text)
    assert series["lr"].axes["epoch"].tolist() == [0, 0, 1, 1]
    assert series["lr"].axes["iter"].tolist() == [5, 10, 5, 10]
    assert "total_steps" not in series


def test_a_bar_that_starts_over_half_way_is_a_restart(read: Read) -> None:
    series, _ = read("\n".join(bar(at, 100, "loss=1.5, lr=0.1") for at in (10, 20, 10)))
    assert "epoch" not in series["lr"].axes
    assert series["lr"].axes["iter"].tolist() == [10, 20, 10]


@pytest.mark.parametrize("separator", ["\r", "\b\b\b", "\n"])
def test_keras_announces_the_epoch_on_a_line_of_its_own(read: Read, separator: str) -> None:
    epochs = []
    for epoch in (1, 2):
        states = [f"{at}/10 [=====>....] - ETA: 1s - loss: {at}.5 - lr: 0.{epoch}" for at in (5, 10)]
        epochs.append(f"Epoch {epoch}/2\n" + separator.join(states) + f" - val_loss: {epoch}.25")
    series, _ = read("\n".join(epochs) + "\n")
    assert series["lr"].axes["epoch"].tolist() == [1, 1, 2, 2]
    assert series["lr"].values.tolist() == [0.1, 0.1, 0.2, 0.2]
    assert series["val_loss"].axes["epoch"].tolist() == [1, 2]
    assert "total_steps" not in series


def test_colours_of_the_terminal_are_no_text(read: Read) -> None:
    series, _ = read("\x1b[32mstep\x1b[0m: 1 \x1b[1mlr\x1b[0m: 0.5\n")
    assert series["lr"].axes["step"].tolist() == [1]


@pytest.mark.parametrize("half", ["9", "9.65", "9.65e", "9.65e-", "9.65e-0"])
def test_a_last_number_that_may_be_half_of_one_is_not_read(read: Read, half: str) -> None:
    series, notes = read(f"step: 1 loss: 2.5 lr: 9.66e-06\nstep: 2 loss: 2.25 lr: {half}")
    assert series["lr"].values.tolist() == [9.66e-06]
    assert series["loss"].values.tolist() == [2.5, 2.25]
    assert notes == ["the last line has no end: its last number may be cut and was not read at line 2"]


def test_a_bar_that_was_left_standing_is_read_whole(read: Read) -> None:
    series, notes = read("\r".join(bar(at, 100, f"loss=2.5, lr={at}.00e-07") for at in (1, 2)))
    assert (series["lr"].values.tolist(), notes) == ([1e-07, 2e-07], [])


def test_a_text_without_training_lines_is_an_error(read: Read) -> None:
    with pytest.raises(ReadError, match="no training log"):
        read("hello\nworld\n")


def test_an_empty_file_and_a_pointer_are_notes(read: Read) -> None:
    assert read("")[1] == ["the file is empty"]
    assert "git lfs pull" in read("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")[1][0]


@pytest.fixture
def sniffs(tmp_path: Path) -> Callable[..., bool]:
    def run(text: str | bytes, name: str = "train.log") -> bool:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return text_log.sniff(str(path), path.read_bytes()[:65536])

    return run


def test_two_lines_make_a_log_however_late_they_come(sniffs: Callable[..., bool]) -> None:
    settings = "BatchNorm2d(64, eps=1e-05)\n" * 20_000
    assert sniffs(settings + "step: 1 lr: 0.1\nstep: 2 lr: 0.1\n")
    assert not sniffs(settings + "step: 1 lr: 0.1\n")


def test_other_files_are_no_text_logs(sniffs: Callable[..., bool]) -> None:
    log = "step: 1 lr: 0.1\nstep: 2 lr: 0.1\n"
    assert not sniffs(log, "settings.yaml")
    assert not sniffs(log, "summary.json")
    assert not sniffs(log.encode() + b"\x00\x01")
    assert not sniffs("")


@given(st.lists(st.text(alphabet="ab \r\n", max_size=6), max_size=8))
def test_segments_are_the_text_cut_at_line_ends_and_overwrites(parts: list[str]) -> None:
    text = "".join(parts)
    found = list(segments(StringIO(text, newline="\n")))
    shown = [
        (number, piece)
        for number, line in enumerate(text.split("\n"), 1)
        for piece in line.replace("\r\r", "\r").split("\r")
        if piece
    ]
    assert [(number, piece) for number, piece in found if piece] == shown


def test_a_segment_beyond_the_limit_is_left_out_and_the_next_is_not() -> None:
    text = "x" * 20 * Limits().text_chars + "\rnext\nlast"
    found = [piece for piece in segments(StringIO(text, newline="\n")) if len(piece[1]) < 100]
    assert found == [(1, "next"), (2, "last")]


@given(st.text(alphabet="lros epchti=:[](){},.|%0123456789-+eE'\"/\t", max_size=200))
def test_no_line_breaks_the_reader(text: str) -> None:
    found = printed(f"lr {text}")
    assert found is None or all(isinstance(value, float) for value in found.values.values())


@pytest.mark.parametrize(
    "unit", ["lr ", "lr=", "lr=[", "lr=[1,", "a ", "train ", "1%|", "epoch[1] ", "(1 ", "lr=tensor(", "_", " ", "9"]
)
def test_a_long_line_costs_no_more_than_its_length(unit: str) -> None:
    """A pattern that tries every split of such a text would not come back."""
    found = printed("step 1 loss 0.5 " + unit * (Limits().text_chars // len(unit)))
    assert found is not None
    assert found.values["loss"] == 0.5

"""Tables as Lightning, Ultralytics, timm, Keras, SB3, flair and W&B write them, and tables that are broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note, Series
from lrdoctor.readers import csv_block, csv_log, csv_table
from lrdoctor.readers.csv_block import Block

Read = Callable[..., tuple[dict[str, Series], list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a text and reads it: the series by tag, and the notes as text."""

    def run(text: str | bytes, name: str = "metrics.csv") -> tuple[dict[str, Series], list[str]]:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        items = list(csv_log.read(str(path)))
        series = {item.tag: item for item in items if isinstance(item, Series)}
        return series, [str(item) for item in items if isinstance(item, Note)]

    return run


def sniffs(text: str | bytes, name: str = "metrics.csv") -> bool:
    return csv_log.sniff(name, text if isinstance(text, bytes) else text.encode())


def test_lightning_writes_the_rate_and_the_loss_on_rows_of_their_own(read: Read) -> None:
    series, notes = read("lr-SGD,step,train_loss_step,epoch\n0.1,49,,\n,49,2.5,0\n0.05,99,,\n,99,2.25,0\n")
    rate, loss = series["lr-SGD"], series["train_loss_step"]
    assert (rate.values.tolist(), rate.axes["step"].tolist(), rate.origin.tolist()) == ([0.1, 0.05], [49, 99], [2, 4])
    assert (loss.values.tolist(), loss.origin.tolist()) == ([2.5, 2.25], [3, 5])
    assert list(loss.axes) == ["step", "epoch"]
    assert "epoch" not in rate.axes
    assert (rate.kind, rate.origin_unit, rate.session, notes) == ("csv", "line", None, [])


def test_ultralytics_pads_its_columns_with_blanks(read: Read) -> None:
    header = "               epoch,      train/box_loss,               x/lr0"
    row = "                   0,            0.087069,             0.00169"
    series, notes = read(f"{header}\n{row}\n")
    assert list(series) == ["train/box_loss", "x/lr0"]
    assert series["x/lr0"].values.tolist() == [0.00169]
    assert notes == []


def test_a_cell_with_a_list_is_one_series_a_group(read: Read) -> None:
    rows = '0,"[2e-07, 4e-07]",6.5\n1,"[1.01e-05, 2.02e-05]",6.25\n'
    series, _ = read("epoch,train_lr,train_loss\n" + rows, "summary.csv")
    assert series["train_lr[0]"].values.tolist() == [2e-07, 1.01e-05]
    assert series["train_lr[1]"].values.tolist() == [4e-07, 2.02e-05]
    assert series["train_lr[1]"].axes["epoch"].tolist() == [0, 1]
    assert "train_lr" not in series


@pytest.mark.parametrize("cell", ["[5e-06]", '"(5e-06,)"'])
def test_a_list_of_one_is_group_0(read: Read, cell: str) -> None:
    series, _ = read(f"epoch,train_lr\n0,{cell}\n")
    assert series["train_lr[0]"].values.tolist() == [5e-06]


def test_a_second_keras_run_in_the_same_file_goes_on_without_a_word(read: Read) -> None:
    series, notes = read("epoch,learning_rate,loss\n0,0.001,0.5\n1,0.0005,0.25\n0,0.001,0.75\n")
    assert series["learning_rate"].axes["epoch"].tolist() == [0, 1, 0]
    assert notes == []


def test_a_repeated_header_starts_a_session(read: Read) -> None:
    series, notes = read("step,lr\n1,0.1\n2,0.2\nstep,lr\n1,0.3\n")
    assert series["lr"].values.tolist() == [0.1, 0.2, 0.3]
    assert series["lr"].session is not None
    assert series["lr"].session.tolist() == [0, 0, 1]
    assert notes == []


def test_a_new_header_renames_the_columns_from_there_on(read: Read) -> None:
    series, notes = read("step,lr\n1,0.1\nstep,loss,lr\n2,5.5,0.2\n")
    assert series["lr"].values.tolist() == [0.1, 0.2]
    assert series["loss"].values.tolist() == [5.5]
    assert series["lr"].axes["step"].tolist() == [1, 2]
    assert notes == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(read: Read, delimiter: str) -> None:
    text = "step,lr,loss\n1,0.1,3\n2,0.05,2\n".replace(",", delimiter)
    assert sniffs(text)
    assert read(text)[0]["lr"].values.tolist() == [0.1, 0.05]


def test_semicolons_go_with_decimal_commas(read: Read) -> None:
    series, notes = read("step;lr;loss\n1;0,001;3,5\n2;1,5e-4;3\n")
    assert series["lr"].values.tolist() == [0.001, 1.5e-4]
    assert series["loss"].values.tolist() == [3.5, 3]
    assert notes == []


def test_nan_and_infinity_are_values_and_other_absent_cells_are_not(read: Read) -> None:
    series, notes = read("step,lr,loss\n1,0.1,nan\n2,0.1,inf\n3,0.1,-Infinity\n4,None,NaN\n5,,N/A\n6,null,-\n")
    assert np.array_equal(series["loss"].values, [np.nan, np.inf, -np.inf, np.nan], equal_nan=True)
    assert series["lr"].axes["step"].tolist() == [1, 2, 3]
    assert notes == []


def test_columns_of_words_are_left_out_silently(read: Read) -> None:
    series, notes = read("EPOCH\tTIMESTAMP\tLEARNING_RATE\tTRAIN_LOSS\n1\t22:10:11\t0.1\t3.5\n", "loss.tsv")
    assert list(series) == ["LEARNING_RATE", "TRAIN_LOSS"]
    assert notes == []


def test_words_among_numbers_are_skipped_with_one_note(read: Read) -> None:
    series, notes = read("step,lr,loss\n1,0.1,3\n2,oops,2\n3,0.1,what\n4,0.1,1\n")
    assert series["lr"].values.tolist() == [0.1, 0.1, 0.1]
    assert series["loss"].axes["step"].tolist() == [1, 2, 4]
    assert notes == ["2 cells skipped: not a number, in 'lr', 'loss' at line 3"]


def test_printed_tensors_are_numbers(read: Read) -> None:
    series, _ = read("step,loss\n1,\"tensor(2.5000, device='cuda:0')\"\n2,tensor(2.25)\n")
    assert series["loss"].values.tolist() == [2.5, 2.25]


def test_ragged_rows_are_skipped_with_one_note(read: Read) -> None:
    series, notes = read("step,lr\n1,0.1\n2\n3,0.1,7\n4,0.2\n")
    assert series["lr"].axes["step"].tolist() == [1, 4]
    assert notes == ["2 rows skipped: not as many cells as the header at line 3"]


def test_a_delimiter_at_each_rows_end_does_no_harm(read: Read) -> None:
    series, notes = read("step,lr\n1,0.1,\n2,0.2,\n")
    assert (series["lr"].values.tolist(), notes) == ([0.1, 0.2], [])


def test_a_last_row_that_was_cut_off_is_told(read: Read) -> None:
    series, notes = read("step,lr,loss\n1,0.1,3\n2,0.")
    assert series["lr"].values.tolist() == [0.1]
    assert notes == ["truncated: the last row is incomplete and was not read at line 3"]


def test_a_last_number_that_may_be_half_of_one_is_not_read(read: Read) -> None:
    series, notes = read("step,loss,lr\n1,3.5,0.00125\n2,3.25,0.0")
    assert series["lr"].values.tolist() == [0.00125]
    assert series["loss"].values.tolist() == [3.5, 3.25]
    assert notes == ["the last line has no end: its last number may be cut and was not read at line 3"]


def test_a_last_row_without_a_line_end_is_read(read: Read) -> None:
    assert read("step,lr\n1,0.1\n2,0.2")[0]["lr"].values.tolist() == [0.1, 0.2]


def test_wall_time_is_told_from_a_stop_watch(read: Read) -> None:
    series, _ = read("step,lr,_timestamp\n1,0.1,1700000000.5\n2,0.1,1700000001.5\n")
    assert series["lr"].wall_time is not None
    assert series["lr"].wall_time.tolist() == [1700000000.5, 1700000001.5]
    series, _ = read("step,lr,timestamp\n1,0.1,12.5\n")
    assert series["lr"].wall_time is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_part_of_the_first_name(read: Read, encoding: str) -> None:
    content = "step,lr\r\n1,0.1\r\n".encode(encoding)
    assert sniffs(content)
    series, _ = read(content)
    assert series["lr"].axes["step"].tolist() == [1]


def test_columns_of_one_name_stay_apart(read: Read) -> None:
    series, _ = read("step,loss,loss\n1,3,4\n")
    assert (series["loss"].values.tolist(), series["loss.1"].values.tolist()) == ([3], [4])


def test_the_index_pandas_writes_is_no_series(read: Read) -> None:
    assert list(read(",step,lr\n0,10,0.1\n1,20,0.2\n")[0]) == ["lr"]


def test_a_comment_before_the_header_is_skipped(read: Read) -> None:
    text = '#{"t_start": 1.5}\nstep,lr\n1,0.1\n'
    assert sniffs(text)
    assert read(text)[0]["lr"].values.tolist() == [0.1]


def test_a_quoted_cell_may_hold_line_ends(read: Read) -> None:
    series, notes = read('step,text,lr\n1,"two\nlines",0.1\n2,x,0.2\n')
    assert series["lr"].origin.tolist() == [3, 4]
    assert notes == []


def test_a_quote_that_never_ends_costs_the_rows_it_swallows_and_no_more(read: Read) -> None:
    filler = "".join(f"{step},x,0.5\n" for step in range(30_000))
    series, notes = read(f'step,text,lr\n1,x,0.1\n2,"never closed,0.1\n{filler}')
    assert series["lr"].values[0] == 0.1
    assert len(series["lr"]) > 10_000
    assert any("skipped" in note for note in notes)


def test_a_header_alone_is_said_to_be_alone(read: Read) -> None:
    series, notes = read("step,lr\n")
    assert (series, notes) == ({}, ["a header without a single row of numbers below it"])


def test_a_table_without_a_header_line_is_an_error(read: Read) -> None:
    with pytest.raises(ReadError, match="no header"):
        read("\n\n\n")


def test_a_header_with_a_stray_carriage_return_is_an_error(read: Read) -> None:
    with pytest.raises(ReadError, match="header cannot be read"):
        read("step,l\rr\n1,0.1\n")


def test_an_empty_file_and_a_pointer_are_notes(read: Read) -> None:
    assert read("")[1] == ["the file is empty"]
    assert "git lfs pull" in read("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")[1][0]


@pytest.mark.parametrize(
    "text",
    [
        "step,lr,loss\n1,0.1,3\n",
        "epoch,loss\n",
        "loss\n0.5\n0.25\n",
        "EPOCH\tTIMESTAMP\tLEARNING_RATE\n1\t22:10:11\t0.1\n",
        "Sample,train/loss,iter\n,2.5,0\n",
    ],
)
def test_training_tables_are_known(text: str) -> None:
    assert sniffs(text)


@pytest.mark.parametrize(
    "text",
    [
        "id,label,price\n1,2,3\n",
        "name,lr_of_paper,remark\nadam,high,none\nsgd,low,some\n",
        "0.1,0.2,0.3\n0.1,0.2,0.3\n",
        '{"step": 1, "lr": 0.1}\n',
        "",
        "\n\n",
        "one line of text about the loss\n",
    ],
)
def test_other_tables_and_texts_are_not(text: str) -> None:
    assert not sniffs(text)


def test_a_binary_file_named_csv_is_none() -> None:
    assert not sniffs(b"step,lr\n1,0.1\n\x00\x01\x02")


def test_outside_csv_files_the_header_must_name_a_step_and_a_loss() -> None:
    assert sniffs("step,loss\n1,2\n", "train.log")
    assert not sniffs("loss,time\n1,2\n", "train.log")


def test_a_header_longer_than_usual_is_read(read: Read) -> None:
    names = [f"metric_{number}" for number in range(3000)]
    text = ",".join(["step", "lr", *names]) + "\n1,0.1" + "," * 3000 + "\n"
    assert sniffs(text)
    assert list(read(text)[0]) == ["lr"]


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(rows=st.lists(st.tuples(st.integers(0, 10**6), numbers, st.none() | numbers), min_size=1, max_size=20))
def test_what_python_prints_is_what_is_read(
    rows: list[tuple[int, float, float | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    body = "".join(f"{step},{rate!r},{'' if loss is None else repr(loss)}\n" for step, rate, loss in rows)
    path.write_text("step,lr,loss\n" + body)
    series = {item.tag: item for item in csv_log.read(str(path)) if isinstance(item, Series)}
    assert np.array_equal(series["lr"].values, [rate for _, rate, _ in rows], equal_nan=True)
    assert series["lr"].axes["step"].tolist() == [step for step, _, _ in rows]
    losses = [loss for _, _, loss in rows if loss is not None]
    assert len(series["loss"] if losses else []) == len(losses)


@given(text=st.text(alphabet='step,lr\n0123456789.eE+-"[]() \t;nai\r', max_size=300))
def test_no_text_breaks_the_reader(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    path.write_text("step,lr\n" + text)
    csv_log.sniff(str(path), path.read_bytes())
    for item in csv_log.read(str(path)):
        if isinstance(item, Series):
            assert len(item.values) == len(item.origin)
            assert all(math.isfinite(line) for line in item.origin)


# "nan", "inf" and words are numbers or not; spaces, signs and dots are where parsers differ.
ODD = st.sampled_from(
    ["nan", "inf", "-", " 1.5 ", " ", "+3", ".5", "5.", "1e400", "1_0", "0x10", "true", "word", "#", "1,5"]
)
cells = st.one_of(st.floats(allow_nan=False).map(repr), st.integers(-(10**20), 10**20).map(str), st.just(""), ODD)
tables = st.lists(st.lists(cells, min_size=3, max_size=3), max_size=30)


@pytest.mark.parametrize("few", [0, 1 << 18])  # with pandas, and without it
@given(rows=tables, ends=st.sampled_from(["\n", "\r\n"]), delimiter=st.sampled_from([",", "\t", ";"]))
def test_many_lines_at_once_are_read_as_one_by_one(
    few: int, rows: list[list[str]], ends: str, delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "metrics.csv"
    lines = [["step", "lr", "loss"], *rows]
    path.write_text("".join(delimiter.join(line) + ends for line in lines), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_block, "_FEW_BYTES", few)
        at_once = list(csv_log.read(str(path)))
        patched.setattr(csv_table, "parsed", lambda span, *_: Block(span, None, quoted=False))
        one_by_one = list(csv_log.read(str(path)))
    assert list(map(comparable, at_once)) == list(map(comparable, one_by_one))


@pytest.mark.parametrize("few", [0, 1 << 18])
@pytest.mark.parametrize(
    "rows",
    [
        ["0,0.1,1,", "1,0.1", "2,0.1,1"],  # as many delimiters as there would be in regular lines
        ["0,0.1,1,5", "1,0.1", "2,0.1,1"],
        ["0,0.1", "1,0.1,1,5", "2,0.1,1"],
        ["0,0.1,1", "1,\0,1", "2,0.1,1"],
        ["0,0.1,1", "", "2,0.1,1"],
        ["0,0.1,1", ",,", "2,0.1,1"],
        ["0,0.1,1\r1,0.1,1", "2,0.1,1"],
        ["0,0.1,1", '1,"0.1",1', '2,"0.1', '3",0.1,1'],
        ["0,-0,1", "1,-0.0,1", "2,0,18446744073709551617"],
    ],
)
def test_irregular_lines_are_read_as_one_by_one(rows: list[str], few: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_block, "_FEW_BYTES", few)
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(["step,lr,loss", *rows, *["7,0.5,0.25"] * 5, ""]), encoding="utf-8", newline="")
    at_once = list(csv_log.read(str(path)))
    monkeypatch.setattr(csv_table, "parsed", lambda span, *_: Block(span, None, quoted=False))
    assert list(map(comparable, at_once)) == list(map(comparable, csv_log.read(str(path))))


def test_a_small_table_of_numbers_needs_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,lr,loss\n0,0.1,\n1,1e-3,2.5\n", encoding="utf-8")
    monkeypatch.setattr(csv_block, "_numbers", lambda *_: pytest.fail("pandas was asked"))
    assert {item.tag: item.values.tolist() for item in csv_log.read(str(path)) if isinstance(item, Series)} == {
        "lr": [0.1, 0.001],
        "loss": [2.5],
    }


def comparable(item: Series | Note) -> object:
    if isinstance(item, Note):
        return item
    axes = {name: steps.tolist() for name, steps in item.axes.items()}
    return repr((item.tag, item.values.tolist(), axes, item.origin.tolist()))


def test_a_block_of_other_lines_costs_the_others_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_BYTES", 200)
    rows = [f"{step},{step * 0.1!r},1.5" for step in range(300)]
    rows[100] = "100,nan,1.5"
    rows[150] = "step,lr,loss"
    path = tmp_path / "metrics.csv"
    path.write_text("step,lr,loss\n" + "\n".join(rows) + "\n299,0", encoding="utf-8")
    found = list(csv_log.read(str(path)))
    series = {item.tag: item for item in found if isinstance(item, Series)}
    rates = [step * 0.1 for step in range(300) if step != 150]
    rates[100] = float("nan")
    assert np.array_equal(series["lr"].values, rates, equal_nan=True)
    assert series["lr"].origin.tolist() == [*range(2, 152), *range(153, 302)]
    assert series["lr"].session is not None
    assert series["lr"].session.tolist() == [0] * 150 + [1] * 149
    assert [str(item) for item in found if isinstance(item, Note)] == [
        "truncated: the last row is incomplete and was not read at line 302"
    ]

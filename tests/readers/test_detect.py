"""Each log is given to the reader that understands it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrdoctor.readers.detect import READERS, reader_for

ROWS = [{"step": step, "lr": 0.1, "loss": 2.5} for step in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
TABLE = "step,lr,loss\n1,0.1,2.5\n2,0.1,2.25\n"
TEXT = "step: 1 lr: 0.1\nstep: 2 lr: 0.1\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("events.out.tfevents.1700000000.host.1.0", b"\x18\x00\x00\x00\x00\x00\x00\x00", "tensorboard"),
        ("run-abc.wandb", b":W&B\xe1\xbe\x00", "wandb"),
        ("trainer_state.json", json.dumps({"global_step": 3, "log_history": ROWS}), "trainer-state"),
        ("log.txt", LINES, "json"),
        ("metrics.json", LINES, "json"),
        ("trainer_log.jsonl", LINES, "json"),
        ("history.json", json.dumps({"history": ROWS}), "json"),
        ("metrics.csv", TABLE, "csv"),
        ("loss.tsv", TABLE.replace(",", "\t"), "csv"),
        ("log.txt", TABLE, "csv"),
        ("train_log.txt", TEXT, "text"),
        ("stdout", TEXT, "text"),
        ("metrics.csv", "", None),
        ("notes.txt", "nothing of the kind\n", None),
        ("settings.json", json.dumps({"lr": 0.1, "epochs": 3}, indent=2), None),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00", None),
    ],
)
def test_the_reader_fits_the_contents(tmp_path: Path, name: str, content: str | bytes, kind: str | None) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    reader = reader_for(str(path))
    assert (reader and reader.KIND) == kind


def test_every_reader_has_a_kind_of_its_own() -> None:
    assert len({reader.KIND for reader in READERS}) == len(READERS)


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reader_for(str(tmp_path / "absent.csv"))


@pytest.mark.parametrize("content", [b"", b"\x00", b"{", b"[", b"\xff\xfe", b"\xef\xbb\xbf", b",", b"\n", b'"'])
def test_no_beginning_of_a_file_breaks_a_reader(tmp_path: Path, content: bytes) -> None:
    for name in ("a.csv", "a.json", "a.jsonl", "a.log", "trainer_state.json", "a.wandb"):
        path = tmp_path / name
        path.write_bytes(content)
        assert reader_for(str(path)) is None or content == b"{"

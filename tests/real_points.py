"""The learning-rate points of the collection of real runs, parsed a second time without lrdoctor's readers.

    python tests/real_points.py

prints a table: run, LR points, first, last and largest LR as other tools read them, and as lrdoctor does. Event files
go through TensorBoard's EventAccumulator, tables through the csv module, `.wandb` through protobuf's own decoder, the
one pickle through `pickletools` (which executes nothing), text through a regular expression a file.
"""

from __future__ import annotations

import csv
import json
import os
import pickletools
import re
import struct
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RUNS = Path(os.environ.get("LRDOCTOR_REAL_RUNS") or Path(__file__).resolve().parents[2] / "shared" / "data" / "runs")
MANIFEST = RUNS / "MANIFEST.tsv"


class Points(NamedTuple):
    """How many LR points a run has, and the first, last and largest of them; NaN where there is none."""

    count: int
    first: float
    last: float
    largest: float

    @classmethod
    def of(cls, values: list[float]) -> Points:
        return cls(len(values), values[0], values[-1], max(values)) if values else NONE


NONE = Points(0, float("nan"), float("nan"), float("nan"))


def manifest() -> list[dict[str, str]]:
    """The rows of the collection's table; [] where the collection is not here."""
    if not MANIFEST.exists():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


# One function a format: (file, key) -> LR values in file order


def events(file: Path, tag: str) -> list[tuple[float, float]]:
    """(wall time, value), tensor-valued scalars included."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    loaded = EventAccumulator(str(file), size_guidance={SCALARS: 0, TENSORS: 0})
    loaded.Reload()
    tags = loaded.Tags()
    if tag in tags["scalars"]:
        return [(event.wall_time, event.value) for event in loaded.Scalars(tag)]
    if tag in tags["tensors"]:
        return [(event.wall_time, float(make_ndarray(event.tensor_proto))) for event in loaded.Tensors(tag)]
    return []


def table(file: Path, column: str) -> list[float]:
    """A column of numbers, or the first number of each of its lists; [] where there is no such column."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(line for line in stream if not line.startswith("#"))
        header = [cell.strip() for cell in next(rows)]
        place = header.index(column) if column in header else None
        cells = [row[place].strip() for row in rows if len(row) == len(header)] if place is not None else []
    return [float(cell.strip("[]").split(",")[0]) for cell in cells if cell]


def json_lines(file: Path, key: str) -> list[float]:
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    return [float(row[key]) for row in rows if row.get(key) is not None]


def trainer_state(file: Path, key: str) -> list[float]:
    rows = json.loads(file.read_text(encoding="utf-8"))["log_history"]
    return [float(row[key]) for row in rows if key in row]


def history(file: Path, key: str) -> list[float]:
    """A tracker's export with parallel lists below history.train."""
    return [float(value) for value in json.loads(file.read_text(encoding="utf-8"))["history"]["train"][key]]


def text(file: Path, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, file.read_text(encoding="utf-8", errors="replace"))]


def pickled_frame(file: Path, block: str) -> list[float]:
    """The numbers of the `block`-th buffer in a pickled dict of pandas frames, eight bytes each."""
    buffers = (arg for _, arg, _ in pickletools.genops(file.read_bytes()) if isinstance(arg, bytearray))
    for _ in range(int(block)):
        next(buffers)
    return list(np.frombuffer(next(buffers), dtype="<f8").tolist())


def wandb(file: Path, key: str) -> list[float]:
    """The history of a `.wandb` file: a key is spelt whole or, in newer files, in parts."""
    found = []
    record = _wandb_record()
    for data in _wandb_records(file.read_bytes()):
        row = record.FromString(data)
        if row.HasField("history"):
            named = {item.key or "/".join(item.nested_key): item.value_json for item in row.history.item}
            found += [float(json.loads(named[key]))] if key in named else []
    return found


def _wandb_records(data: bytes) -> Iterator[bytes]:
    """LevelDB's log format: after 7 bytes blocks of 32 KiB, in them pieces with (checksum, length, kind)."""
    whole, at = b"", 7
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # too small for another piece: padding
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0 or at + 7 + length > len(data):  # blank, or cut off
            return
        piece, at = data[at + 7 : at + 7 + length], at + 7 + length
        whole = piece if kind in (1, 2) else whole + piece
        if kind in (1, 4):
            yield whole


@cache
def _wandb_record() -> Any:
    """The part of wandb_internal.proto that holds the history, as a protobuf class made on the spot."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    proto = descriptor_pb2.FileDescriptorProto(name="history_only.proto", package="history_only", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in {
        "Item": (("key", 1, "", False), ("nested_key", 2, "", True), ("value_json", 16, "", False)),
        "History": (("item", 1, "Item", True),),
        "Record": (("history", 2, "History", False),),
    }.items():
        made = proto.message_type.add(name=message)
        for name, number, inner, repeated in fields:
            made.field.add(
                name=name,
                number=number,
                label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL,
                type=kinds.TYPE_MESSAGE if inner else kinds.TYPE_STRING,
                type_name=f".history_only.{inner}" if inner else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("history_only.Record"))


Parse = Callable[[Path, str], Any]
YOLOX_LR, DEEPSPEED_LR, TQDM_LR = r"\blr: ([0-9.e+-]+)", r"\blr=\[([0-9.e+-]+)", r"\blr=([0-9.e+-]+)"
# Run, how to parse it, its files, the key. What was written twice is parsed where it has most digits.
RECIPES: tuple[tuple[str, Parse, str, str], ...] = (
    ("MAADDS__*", events, "*tfevents*", "x/lr0"),
    ("ultralytics__yolov5/wandb-*", wandb, "*.wandb", "x/lr0"),
    ("ultralytics__*", events, "*tfevents*", "x/lr0"),
    ("Doctor-Foxling__*", events, "**/*tfevents*", "Policy/Learning Rate"),
    ("s20488__*", events, "**/*tfevents*", "lr"),
    ("matteorossil__*/output_dir_first", events, "**/*tfevents*", "lr"),
    ("matteorossil__*", json_lines, "*log.txt", "train_lr"),
    ("tkp153__*", text, "train_log.txt", YOLOX_LR),
    ("KaneLindsay__*", json_lines, "metrics.json", "lr"),
    ("facebookresearch__*", json_lines, "log.txt", "train_lr"),
    ("12tqian__*/output", json_lines, "metrics.json", "lr"),
    ("12tqian__*/wandb-*", wandb, "*.wandb", "lr"),
    ("open-mmlab__OpenPCDet/*", events, "**/*tfevents*", "meta_data/learning_rate"),
    ("Aquilaxc__*", events, "**/*tfevents*", "lr-Ranger"),
    ("aakashvardhan__*/csv-*", table, "metrics.csv", "lr-SGD"),
    ("aakashvardhan__*/tb-*", events, "*tfevents*", "lr-SGD"),
    ("rajcreo__*", events, "train/*tfevents*", "learning_rate"),
    ("Wardat-ISU__*", events, "**/*tfevents*", "learning_rate"),
    ("xuritian317__*", table, "summary.csv", "train_lr"),
    ("0Xero7__*", table, "metrics.csv", "lr"),
    ("24Musab25__*", table, "results.csv", "lr/pg0"),
    ("karpathy__*/wandbcsv-*", table, "*.csv", "lr"),
    ("karpathy__*/wandb-*", wandb, "*.wandb", "lr"),
    ("karpathy__*/lozo_gpt2", text, "*.log", TQDM_LR),
    ("thu-yao-01-luo__*", table, "*.csv", "lr"),
    ("fabian-sp__*", history, "*.json", "train_lr"),
    ("subro608__*", trainer_state, "**/trainer_state.json", "learning_rate"),
    ("hiyouga__*/wandb-*", wandb, "*.wandb", "train/learning_rate"),
    ("hiyouga__*", json_lines, "trainer_log.jsonl", "learning_rate"),
    ("duanbo320__*", json_lines, "vis_data/2*.json", "lr"),
    ("open-mmlab__mmengine/*", json_lines, "vis_data/scalars.json", "lr"),
    ("Areinaqiu__*", json_lines, "*.log.json", "lr"),
    ("haakontveit1__*", table, "progress.csv", "train/learning_rate"),
    ("AhmedZ41__*", table, "*.csv", "learning_rate"),
    ("microsoft__*", text, "*.log", DEEPSPEED_LR),
    ("zkshan2002__*", pickled_frame, "*.pkl", "2"),
)


def independent(run_path: str) -> Points:
    """The run's LR points as other tools read them; several event files in the order of their first point."""
    folder = RUNS / run_path
    recipe = next((recipe for recipe in RECIPES if fnmatch(run_path, recipe[0])), None)
    if recipe is None:
        return NONE
    _, parse, pattern, key = recipe
    files = sorted(folder.glob(pattern))
    assert files, f"{pattern} is not in {folder}"
    if parse is events:
        sessions = sorted(found for file in files if (found := events(file, key)))
        return Points.of([value for session in sessions for _, value in session])
    if parse is trainer_state:  # each checkpoint has the history up to itself
        return Points.of(max((parse(file, key) for file in files), key=len))
    return Points.of([value for file in files for value in parse(file, key)])


def ours(run_path: str) -> Points:
    """The run's LR points as lrdoctor reads them: the lead series of the recording it believes."""
    from lrdoctor.readers import read
    from lrdoctor.reconstruct.pick import LrSource, pick_lr

    found = [picked for run in read(str(RUNS / run_path)) if isinstance(picked := pick_lr(run), LrSource)]
    pieces = [series.values for one in found for series in one.recording.of_tag(one.tags[0])]
    return Points.of(np.concatenate(pieces).tolist()) if pieces else NONE


def main() -> int:
    rows = manifest()
    if not rows:
        print(f"the collection of real runs is not here ({MANIFEST})", file=sys.stderr)
        return 1
    differing = 0
    print(f"{'run':<88} {'points':>7} {'first':>12} {'last':>12} {'largest':>12}  lrdoctor")
    for row in rows:
        theirs, mine = independent(row["run_path"]), ours(row["run_path"])
        same = repr(theirs) == repr(mine)
        differing += not same
        verdict = "the same" if same else f"DIFFERS: {mine}"
        numbers = " ".join(f"{value:>12.6g}" for value in theirs[1:])
        print(f"{row['run_path']:<88} {theirs.count:>7} {numbers}  {verdict}")
    print(f"{len(rows)} runs, {differing} differ")
    return differing > 0


if __name__ == "__main__":
    sys.exit(main())

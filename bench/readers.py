"""Our readers against their peers, in one run on one machine. Only the ratios mean anything.

    python bench/readers.py [--events 300000] [--rows 200000] [--megabytes 1200]

Event files: all points in memory from one file, in one process, against TensorBoard's EventAccumulator (told to keep
every scalar, which an audit needs), against TensorBoard's data server in Rust with its client (started anew each
time, its answer turned into numpy arrays), and against tbparse where it is installed. Tables: every column as series
against pandas.read_csv. Checkpoints: counters, schedulers and parameter groups against torch.load(mmap=True,
weights_only=True), both in a warm process, and the memory a fresh process needs for it.

The sides take turns and each figure is the best of its tries, so that a load on the machine falls on both.
"""

from __future__ import annotations

import argparse
import itertools
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lrdoctor.readers.checksum import masked_crc

LAYERS = (100, 400, 1000)  # of the checkpoints: eight tensors each
TAGS = ("train/loss", "train/learning_rate", "train/grad_norm", "val/loss", "throughput")
Work = Callable[[], object]


def best_of(tries: dict[str, int], works: dict[str, Work]) -> dict[str, float]:
    """Seconds of the fastest of so many calls of each, by turns, after one of each that warms the caches."""
    seconds: dict[str, float] = {}
    for turn in range(1 + max(tries.values())):
        for name, work in works.items():
            if turn > tries[name]:
                continue
            start = time.perf_counter()
            work()
            took = time.perf_counter() - start
            if turn:
                seconds[name] = min(seconds.get(name, took), took)
    return seconds


def report(what: str, seconds: dict[str, float]) -> None:
    ours = seconds.pop("lrdoctor")
    for peer, theirs in seconds.items():
        print(f"{what}: {theirs / ours:.1f} x as fast as {peer} ({ours * 1e3:.1f} ms against {theirs * 1e3:.1f} ms)")


# Event files


def write_events(folder: Path, count: int) -> Path:
    """One event file with `count` scalar events over five tags, each serialised by TensorBoard's own protocol."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    def framed(event: Event) -> bytes:
        content = event.SerializeToString()
        header = struct.pack("<Q", len(content))
        return header + struct.pack("<I", masked_crc(header)) + content + struct.pack("<I", masked_crc(content))

    path = folder / "events.out.tfevents.1700000000.host.1.0"
    with path.open("wb") as stream:
        stream.write(framed(Event(wall_time=1.7e9, file_version="brain.Event:2")))
        for index in range(count):
            value = Summary.Value(tag=TAGS[index % len(TAGS)], simple_value=1.0 / (1 + index))
            step = index // len(TAGS)
            stream.write(framed(Event(wall_time=1.7e9 + index * 0.01, step=step, summary=Summary(value=[value]))))
    return path


def bench_events(folder: Path, count: int) -> None:
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    from lrdoctor.model.run import Series
    from lrdoctor.readers import tensorboard

    path = write_events(folder, count)

    def ours() -> int:
        return sum(len(item) for item in tensorboard.read(str(path)) if isinstance(item, Series))

    def accumulator() -> int:
        loaded = EventAccumulator(str(path), size_guidance={SCALARS: 0})
        loaded.Reload()
        return sum(len(loaded.Scalars(tag)) for tag in loaded.Tags()["scalars"])

    works: dict[str, Work] = {
        "lrdoctor": ours,
        "the Rust data server": lambda: points_of_the_data_server(folder, count),
        "EventAccumulator": accumulator,
    }
    tbparse = reader_of_tbparse(path)
    if tbparse:
        works["tbparse"] = tbparse
    assert all(work() == count for work in works.values())
    tries = dict.fromkeys(works, 1) | {"lrdoctor": 5, "the Rust data server": 5}
    report(f"{count:,} scalar events", best_of(tries, works))


def points_of_the_data_server(folder: Path, count: int) -> int:
    """Start the server, wait until it has read the file, and fetch every point."""
    import numpy as np
    from tensorboard.data import server_ingester
    from tensorboard.data.proto import data_provider_pb2 as messages
    from tensorboard.util import grpc_util

    ingester = server_ingester.SubprocessServerDataIngester(
        server_ingester.get_server_binary(),
        str(folder),
        reload_interval=0,
        channel_creds_type=grpc_util.ChannelCredsType.LOCAL,
        samples_per_plugin={"scalars": 0},
    )
    ingester.start()
    server = ingester.data_provider._stub
    scalars = messages.PluginFilter(plugin_name="scalars")
    last = (count - 1) // len(TAGS)
    while True:
        listed = server.ListScalars(messages.ListScalarsRequest(plugin_filter=scalars))
        steps = [tag.metadata.max_step for run in listed.runs for tag in run.tags]
        if len(steps) == len(TAGS) and min(steps) >= last - 1 and max(steps) == last:
            break
        time.sleep(0.002)
    every = messages.Downsample(num_points=2**31 - 1)
    answer = server.ReadScalars(messages.ReadScalarsRequest(plugin_filter=scalars, downsample=every))
    columns = [
        (np.array(tag.data.step), np.array(tag.data.wall_time), np.array(tag.data.value))
        for run in answer.runs
        for tag in run.tags
    ]
    ingester._stdin_handle.close()  # which ends the server
    return sum(len(steps) for steps, _, _ in columns)


def reader_of_tbparse(path: Path) -> Work | None:
    try:
        from tbparse import SummaryReader
    except ImportError:
        print("tbparse is not installed: left out")
        return None
    return lambda: len(SummaryReader(str(path)).scalars)


# Tables


def write_table(folder: Path, rows: int) -> Path:
    path = folder / "metrics.csv"
    random.seed(0)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("epoch,step,train_loss,lr-AdamW,grad_norm,val_loss\n")
        for row in range(rows):
            values = (random.random() * 3, 1e-3 * (1 - row / rows), random.random())
            last = "" if row % 1000 else repr(random.random())
            stream.write(f"{row // 1000},{row},{values[0]:.6f},{values[1]!r},{values[2]!r},{last}\n")
    return path


def bench_table(folder: Path, rows: int) -> None:
    import pandas as pd

    from lrdoctor.model.run import Series
    from lrdoctor.readers import csv_log

    path = write_table(folder, rows)

    def ours() -> int:
        return sum(len(item) for item in csv_log.read(str(path)) if isinstance(item, Series))

    def theirs() -> int:
        return int(pd.read_csv(path)[["train_loss", "lr-AdamW", "grad_norm", "val_loss"]].count().sum())

    assert ours() == theirs()
    works: dict[str, Work] = {"lrdoctor": ours, "pandas.read_csv": lambda: pd.read_csv(path)}
    report(f"{rows:,} rows of a table", best_of(dict.fromkeys(works, 15), works))


# Checkpoints


def write_checkpoints(folder: Path, megabytes: int, layers: int) -> list[Path]:
    """A model of so many layers, the state AdamW keeps of each of its weights, and a scheduler; after two updates."""
    import torch

    width = max(1, round((megabytes * 2**20 / (layers * 4 * 3)) ** 0.5))
    model = torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    paths = [folder / f"{8 * layers:,}-tensors-{update}.pt" for update in (1, 2)]
    for path in paths:
        optimizer.step()
        scheduler.step()
        held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        torch.save(held, path)
    return paths


def write_transformers(folder: Path, layers: int) -> list[Path]:
    """What a training script saves: tied weights, two groups of parameters, a warmup, settings, a random state."""
    import torch

    width = 256
    model = torch.nn.ModuleDict(
        {
            "layers": torch.nn.ModuleList(
                torch.nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True) for _ in range(layers)
            ),
            "embedding": torch.nn.Embedding(5000, width),
            "head": torch.nn.Linear(width, 5000),
        }
    )
    model["head"].weight = model["embedding"].weight
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.1},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (1 + step) / 10))
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    paths = [folder / f"transformer-{update}.pt" for update in (1, 2)]
    for path in paths:
        optimizer.step()
        scheduler.step()
        held = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "config": {"train": {"lr": 1e-3, "betas": (0.9, 0.95)}, "layers": [{"width": width}] * layers},
            "rng": torch.get_rng_state(),
        }
        torch.save(held, path)
    return paths


def bench_checkpoint(folder: Path, megabytes: int) -> None:
    for layers in LAYERS:
        paths = write_checkpoints(folder, megabytes, layers)
        against_torch(paths)
        for path in paths:
            path.unlink()
    against_torch(write_transformers(folder, 24))


def against_torch(paths: list[Path]) -> None:
    """The first of a training's checkpoints, as if no other had been read before, and the next ones, by turns."""
    import torch

    from lrdoctor.readers import pickle_rows, pickle_versions
    from lrdoctor.readers.checkpoint import read_checkpoint

    turns = itertools.cycle(paths)

    def next_one() -> int | None:
        found = read_checkpoint(str(next(turns)))
        return found.optimizer.step if found.optimizer else None

    def first() -> int | None:
        pickle_rows._kept.clear()
        pickle_versions._kept.clear()
        return next_one()

    def theirs() -> int:
        loaded = torch.load(next(turns), mmap=True, weights_only=True)
        return int(max(state["step"] for state in loaded["optimizer"]["state"].values()))

    for ours in (first, next_one):
        assert {ours(), ours()} == {theirs(), theirs()} == {1, 2}
        what = f"{paths[0].stat().st_size / 2**20:,.0f} MB {paths[0].stem}.pt, "
        what += "the first of its training" if ours is first else "the next of its training"
        torchs = "torch.load(mmap=True, weights_only=True)"
        report(what, best_of({"lrdoctor": 30, torchs: 10}, {"lrdoctor": ours, torchs: theirs}))
    print(f"{paths[0].stem}.pt: {peak_megabytes(paths[0]):.0f} MB of memory at most, in a process of its own")


# The system's own counter, getrusage's, starts at what the parent had.
_PEAK = """
import resource, sys
from pathlib import Path
from lrdoctor.readers.checkpoint import read_checkpoint
read_checkpoint(sys.argv[1])
status = Path("/proc/self/status")
if status.exists():
    print(next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
"""


def peak_megabytes(path: Path) -> float:
    """The largest resident size of a fresh process that reads a checkpoint."""
    answer = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True)
    return float(answer.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--megabytes", type=int, default=1200)
    arguments = parser.parse_args()
    benches = ((bench_events, arguments.events), (bench_table, arguments.rows), (bench_checkpoint, arguments.megabytes))
    for bench, size in benches:
        with tempfile.TemporaryDirectory() as folder:
            bench(Path(folder), size)


if __name__ == "__main__":
    main()

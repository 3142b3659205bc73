"""Our readers against their peers, in one run on one machine. Only the ratios mean anything.

    python bench/readers.py [--events 200000] [--megabytes 400]

Event files: points in memory from one file, one process, against TensorBoard's EventAccumulator (its size guidance set
to keep every scalar, which is what an audit needs). Checkpoints: counters, schedulers and param groups from one file
against torch.load(mmap=True, weights_only=True). Each figure is the best of several tries after one warm-up.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TAGS = ("train/loss", "train/learning_rate", "train/grad_norm", "val/loss", "throughput")


def best_of(work: Callable[[], object], tries: int) -> float:
    """Seconds of the fastest of `tries` calls, after one that warms the caches."""
    work()
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def write_events(folder: Path, count: int) -> Path:
    """One event file with `count` scalar events over five tags, written by TensorBoard's own writer."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), max_queue_size=100_000)
    for index in range(count):
        value = Summary.Value(tag=TAGS[index % len(TAGS)], simple_value=1.0 / (1 + index))
        step = index // len(TAGS)
        writer.add_event(Event(wall_time=1.7e9 + index * 0.01, step=step, summary=Summary(value=[value])))
    writer.close()
    return next(folder.glob("events.out.tfevents.*"))


def bench_events(folder: Path, count: int) -> None:
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    from lrdoctor.model.run import Series
    from lrdoctor.readers import tensorboard

    path = write_events(folder, count)

    def ours() -> int:
        return sum(len(item) for item in tensorboard.read(str(path)) if isinstance(item, Series))

    def theirs() -> int:
        accumulator = EventAccumulator(str(path), size_guidance={SCALARS: 0})
        accumulator.Reload()
        return sum(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()["scalars"])

    assert ours() == theirs() == count
    report(f"{count:,} scalar events", "EventAccumulator", best_of(ours, 3), best_of(theirs, 1))


def bench_checkpoint(folder: Path, megabytes: int) -> None:
    import torch

    from lrdoctor.readers.checkpoint import read_checkpoint

    width = 1024
    layers = max(1, megabytes * 2**20 // (width * width * 4 * 3))
    model = torch.nn.Sequential(*(torch.nn.Linear(width, width, bias=False) for _ in range(layers)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    model(torch.ones(1, width)).sum().backward()
    optimizer.step()
    scheduler.step()
    path = folder / "last.pt"
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, path
    )

    def ours() -> int | None:
        found = read_checkpoint(str(path))
        return found.optimizer.step if found.optimizer else None

    def theirs() -> int:
        loaded = torch.load(path, mmap=True, weights_only=True)
        return int(max(state["step"] for state in loaded["optimizer"]["state"].values()))

    assert ours() == theirs() == 1
    size = path.stat().st_size / 2**20
    report(f"{size:,.0f} MB checkpoint", "torch.load(mmap=True)", best_of(ours, 5), best_of(theirs, 5))


def report(what: str, peer: str, ours: float, theirs: float) -> None:
    print(f"{what}: {theirs / ours:.1f} x as fast as {peer} ({ours * 1e3:.1f} ms against {theirs * 1e3:.1f} ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--megabytes", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as events, tempfile.TemporaryDirectory() as checkpoints:
        bench_events(Path(events), arguments.events)
        bench_checkpoint(Path(checkpoints), arguments.megabytes)


if __name__ == "__main__":
    main()

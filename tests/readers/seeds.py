"""One small file for each reader, as its tool writes it, and how to read it: where cuts and fuzzing start from."""

from __future__ import annotations

import importlib.util
import io
import json
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lrdoctor.readers import (
    csv_log,
    json_log,
    mlflow_store,
    parquet_table,
    pickled_table,
    side_files,
    tensorboard,
    text_log,
    trainer_state,
    wandb_log,
)
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.checkpoint_hints import checkpoint_hints, training_arguments


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


class Seed(NamedTuple):
    """A file of this name and content; `read` takes a path and gives all that a reader has to say of it."""

    name: str
    content: bytes
    read: Callable[[str], list[Any]]


def _checkpoint(path: str) -> list[Any]:
    found = read_checkpoint(path)
    return [found, *found.notes, *checkpoint_hints(path)]


def _listed(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda path: list(read(path))


def _events() -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        for step in range(5):
            values = [Summary.Value(tag="lr", simple_value=0.1 / (1 + step))]
            writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=values)))
        writer.close()
        return next(Path(folder).iterdir()).read_bytes()


def _wandb() -> bytes:
    """As W&B's own store writes it: a header, and one chunk a record of its protocol."""
    from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]

    def field(number: int, content: bytes) -> bytes:
        return bytes(_VarintBytes(number << 3 | 2)) + bytes(_VarintBytes(len(content))) + content

    content = b":W&B\xbe\xe1\x00"
    for step in range(4):
        pairs = (("lr", 0.1), ("loss", 2.0 - step), ("_step", step), ("_timestamp", 1.7e9 + step))
        items = [field(1, name.encode()) + field(16, json.dumps(value).encode()) for name, value in pairs]
        record = field(2, b"".join(field(1, item) for item in items))
        content += struct.pack("<IHB", zlib.crc32(b"\x01" + record), len(record), 1) + record
    return content


def _torch(*, new_layout: bool) -> bytes:
    import torch

    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    weight.sum().backward()
    optimizer.step()
    scheduler.step()
    held = {
        "epoch": 1,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "hparams": {"lr": 0.1},
    }
    stream = io.BytesIO()
    torch.save(held, stream, _use_new_zipfile_serialization=new_layout)
    return stream.getvalue()


def _safetensors() -> bytes:
    import torch
    from safetensors.torch import save

    return bytes(save({"weight": torch.ones(2), "bias": torch.zeros(1)}, metadata={"format": "pt"}))


def _table() -> bytes:
    import pandas as pd

    stream = io.BytesIO()
    pd.DataFrame({"step": [1, 2, 3], "lr": [0.1, 0.05, 0.01]}).to_pickle(stream)
    return stream.getvalue()


def _arguments() -> bytes:
    import argparse
    import pickle

    return pickle.dumps(argparse.Namespace(learning_rate=1e-4, optim="adamw_torch", num_train_epochs=3), 2)


_CSV = "epoch,step,lr,loss,note\n" + "".join(f"0,{step},{0.1 / step!r},{2.5 - step},\n" for step in range(1, 6))
_JSONL = "".join(
    json.dumps({"iter": step, "lr": 0.1 / step, "loss": 2.5, "mode": "train"}) + "\n" for step in range(1, 5)
)
_DOCUMENT = json.dumps(
    {"history": {"train": {"iter": [1, 2, 3], "train_lr": [0.1, 0.2, 0.3], "train_loss": [3, 2, 1]}}}
)
_STATE = json.dumps(
    {"global_step": 2, "max_steps": 4, "log_history": [{"step": step, "learning_rate": 0.1} for step in (1, 2)]},
    indent=1,
)
_TEXT = "\x1b[32mstart\x1b[0m\n" + "".join(f"[step={step}, lr=[0.1, 0.2], loss: {2.5 - step}]\r\n" for step in range(4))
_YAML = "lr: 1e-4\noptimizer: {name: adamw, betas: [0.9, 0.95]}\nbatch_size: &b 32\neval: *b\ntag: !!python/x 1\n"


@cache
def _mlflow() -> bytes:
    """The tables an audit asks MLflow's database for, with one run in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        with sqlite3.connect(path) as made:
            made.executescript(
                "PRAGMA page_size = 512;"
                "CREATE TABLE runs (run_uuid TEXT, start_time BIGINT, lifecycle_stage TEXT);"
                "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INT, run_uuid TEXT, step INT, is_nan INT);"
                "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
                "INSERT INTO runs VALUES ('a', 1, 'active');"
            )
            for step in range(4):
                made.execute("INSERT INTO metrics VALUES ('lr', ?, ?, 'a', ?, 0)", (0.1 / (step + 1), step, step))
        made.close()
        return path.read_bytes()


def _parquet() -> bytes:
    import pandas as pd

    content = io.BytesIO()
    pd.DataFrame({"step": [0, 1, 2], "lr": [0.1, 0.05, 0.025]}).to_parquet(content)
    return content.getvalue()


def seeds() -> dict[str, Seed]:
    """By the name of the reader."""
    return {
        "tensorboard": Seed("events.out.tfevents.1700000000.host.1.0", _events(), _listed(tensorboard.read)),
        "csv": Seed("metrics.csv", _CSV.encode(), _listed(csv_log.read)),
        "csv-utf16": Seed("metrics.csv", _CSV.encode("utf-16"), _listed(csv_log.read)),
        "json-lines": Seed("log.jsonl", _JSONL.encode(), _listed(json_log.read)),
        "json-document": Seed("history.json", _DOCUMENT.encode(), _listed(json_log.read)),
        "trainer-state": Seed("trainer_state.json", _STATE.encode(), _listed(trainer_state.read)),
        "wandb": Seed("run-abc.wandb", _wandb(), _listed(wandb_log.read)),
        "mlflow-store": Seed("mlflow.db", _mlflow(), _listed(mlflow_store.read)),
        **({"parquet": Seed("metrics.parquet", _parquet(), _listed(parquet_table.read))} if _has("pyarrow") else {}),
        "text": Seed("train.log", _TEXT.encode(), _listed(text_log.read)),
        "pickled-table": Seed("table.pkl", _table(), _listed(pickled_table.read)),
        "settings-yaml": Seed("hparams.yaml", _YAML.encode(), _listed(side_files.read_hints)),
        "settings-json": Seed("config.json", b'{"lr": 0.1, "batch_size": 32}', _listed(side_files.read_hints)),
        "training-arguments": Seed("training_args.bin", _arguments(), _listed(training_arguments)),
        "checkpoint": Seed("last.pt", _torch(new_layout=True), _checkpoint),
        "checkpoint-legacy": Seed("last.pt", _torch(new_layout=False), _checkpoint),
        "safetensors": Seed("model.safetensors", _safetensors(), _checkpoint),
    }

"""Several independent runs in one folder: files side by side with the same columns and names of their own."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from lrdoctor.readers.folder_tree import LogFile
from lrdoctor.readers.storage import head_of

_NEVER_SEPARATE = frozenset({"tensorboard", "trainer-state", "wandb", "mlflow", "mlflow-store"})
_HEAD_BYTES = 4096
# What a file holds, or when it was written: tells nothing about which run it is from.
_STAMP = re.compile(r"\d{8}[-_T]?\d{4,6}|\d{4}-\d{2}-\d{2}[-_T ]?(\d{2}[-:_]?\d{2}([-:_]?\d{2})?)?|\b\d{10}\b")
_WORDS = frozenset(
    {
        "train", "training", "trainer", "val", "valid", "validation", "eval", "evaluation", "test", "dev",
        "log", "logs", "logger", "metric", "metrics", "history", "scalars", "result", "results", "summary", "progress",
        "loss", "losses", "lr", "learning", "rate", "acc", "accuracy", "step", "steps", "epoch", "epochs",
        "output", "out", "stdout", "stderr", "state", "all",
    }
)  # fmt: skip
_KEY = re.compile(rb'"([A-Za-z_][^"\\]{0,60})"\s*:')


def separate_runs(logs: list[LogFile]) -> list[LogFile]:
    """The logs of one folder that are a run each; empty where the folder is one run."""
    alike: dict[tuple[str, object], list[LogFile]] = defaultdict(list)
    candidates = [log for log in logs if log.kind not in _NEVER_SEPARATE and "tfevents" not in log.name]
    for log in candidates if len(candidates) > 1 else ():
        alike[log.kind, _schema(log)].append(log)
    apart = []
    for group in alike.values():
        stems = {own_name(log.name) for log in group}
        if len(group) > 1 and len(stems) == len(group) and "" not in stems:
            apart += group
    return apart


def own_name(name: str) -> str:
    """What is left of a file's name without suffix, time stamps and words every log may have."""
    stem = _STAMP.sub(" ", name.split(".")[0] if name.count(".") == 1 else re.sub(r"(\.[A-Za-z]+)+$", "", name))
    parts = re.split(r"[\W_]+", stem)
    return " ".join(part for part in parts if part and part.lower() not in _WORDS)


def _schema(log: LogFile) -> object:
    """The header of a table or the keys of a JSON file's first records; text logs are all alike."""
    try:
        head = head_of(log.path, _HEAD_BYTES)
    except OSError:
        return None
    suffix = PurePosixPath(log.path).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return tuple(cell.strip() for cell in head.splitlines()[0].split(b",")) if head.strip() else ()
    if suffix.startswith(".json"):
        return frozenset(_KEY.findall(head[: _HEAD_BYTES // 4]))
    return None

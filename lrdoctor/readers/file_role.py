"""What a file may be for an audit, by its name and its first bytes: a log, a checkpoint, a side file, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lrdoctor.readers import pickled_table
from lrdoctor.readers.checkpoint import NOT_CHECKPOINTS, SUFFIXES, is_checkpoint
from lrdoctor.readers.checkpoint_folder import LFS_MAGIC
from lrdoctor.readers.detect import reader_for, runs_in
from lrdoctor.readers.side_files import is_side_file
from lrdoctor.readers.storage import head_of

Role = Literal["log", "checkpoint", "side", "pointer", "unusable", "other"]
HEAD_BYTES = 4096
_LOG_SUFFIXES = (
    ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", ".log", ".out", ".wandb", ".pkl", ".pickle",
    ".parquet", ".db", ".sqlite", ".sqlite3",
)  # fmt: skip
_LOG_NAMES = frozenset({"log", "stdout", "train_log", "training_log"})
# Names that only a training record has: worth a word when such a file cannot be used.
_RECORD = re.compile(
    r"tfevents|\.wandb$|^trainer_state\.json$|^trainer_log\.jsonl$|^(metrics|results|progress|summary|history)\.(csv|tsv|jsonl?)$"
    r"|^train(ing)?[_-]?log\b|^log\.txt$|^scalars\.json$|\.log\.json$",
    re.IGNORECASE,
)
_NEVER = frozenset({"metadata.tsv", "tensors.tsv", "requirements.txt", "package.json", "package-lock.json"})
_CHECKPOINT_ONLY_SUFFIXES = (".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class FileRole:
    """A file's role; `kind` names the log's reader, `reason` says why a file that looks right is not usable.

    `runs` are the names of the runs side by side in a log, empty where it is one; None where they cannot be read.
    """

    role: Role
    kind: str = ""
    reason: str = ""
    runs: tuple[str, ...] | None = ()


OTHER = FileRole("other")


def is_promising(path: str) -> bool:
    """Whether a file of this name may have a role."""
    name = path.rsplit("/", 1)[-1]
    if name.lower() in _NEVER:
        return False
    return _may_be_log(name) or name.lower().endswith(SUFFIXES) or _is_side(name)


def role_of(path: str) -> FileRole:
    """The role of a regular file. Files without a promising name are not even opened."""
    if not is_promising(path):
        return OTHER
    name = path.rsplit("/", 1)[-1]
    try:
        head = head_of(path, HEAD_BYTES)
    except OSError as error:
        return FileRole("unusable", reason=f"cannot be opened: {error.strerror or error}")
    if head.startswith(LFS_MAGIC):
        return FileRole("pointer", reason="a git LFS pointer, not data")
    if _is_side(name):
        return FileRole("side")
    return _by_content(path, name, head)


def _is_side(name: str) -> bool:
    return is_side_file(name) or name == "training_args.bin"


def _may_be_log(name: str) -> bool:
    return "tfevents" in name or name.lower().endswith(_LOG_SUFFIXES) or name.lower() in _LOG_NAMES


def _by_content(path: str, name: str, head: bytes) -> FileRole:
    if is_checkpoint(path, head):
        return FileRole("checkpoint")
    kind = _log_kind(path, head) if _may_be_log(name) else None
    if kind is not None:
        return FileRole("log", kind, runs=runs_in(path, kind))
    if name.lower().endswith(_CHECKPOINT_ONLY_SUFFIXES) and not name.startswith(NOT_CHECKPOINTS):
        reason = "named like a checkpoint, but not written by torch.save" if head else "the file is empty"
        return FileRole("unusable", reason=reason)
    if _RECORD.search(name):
        reason = "named like a training log, but no reader recognises its contents" if head else "the file is empty"
        return FileRole("unusable", reason=reason)
    return OTHER


def _log_kind(path: str, head: bytes) -> str | None:
    if pickled_table.sniff(path, head):
        return pickled_table.KIND
    reader = reader_for(path)
    return None if reader is None else str(reader.KIND)

"""The frameworks whose configs are understood, and which of them a document is for.

Each is a module with NAME, `sniff(document) -> int` (0: not this framework's; the more, the surer) and
`plan(document, context) -> Plan`, None where a closer look shows that it is none. SIGNS
are words at least one of which every config understood here contains: a file
without any is left alone unparsed.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from lrdoctor.configs.context import Context
from lrdoctor.configs.tree import Document
from lrdoctor.model.plan import Plan

MODULES = (
    "axolotl", "llamafactory", "torchtune", "torchtitan", "megatron", "nemo", "llmfoundry", "fairseq", "detectron2",
    "mmengine", "mmcv", "nanogpt", "hydra", "lightning", "ultralytics", "timm", "deepspeed", "transformers", "plain",
)  # fmt: skip
SIGNS = re.compile(
    rb"(?<![a-zA-Z])lr(?![a-zA-Z])|learning_rate|learning-rate|lr_sched|lr0|BASE_LR|_BASE_|_base_|param_scheduler"
    rb"|train_batch_size|train_micro_batch|num_train_epochs|max_duration|warmup|MAX_ITER|lr_config|optim_wrapper"
)

RECORDS = ("log_history", "_wandb")
"""Keys of what a training writes of itself: Transformers' trainer_state.json, the config.yaml of a W&B run."""

PYTHON_SIGNS = re.compile(
    rb"^(?:param_scheduler|optim_wrapper|lr_config|_base_|max_iters|lr_decay_iters|train_cfg)\s*=", re.MULTILINE
)
"""A Python file is a config where one of these stands at the start of a line."""


class Framework(Protocol):
    """One framework's reader."""

    @property
    def NAME(self) -> str: ...  # noqa: N802  # a constant of the module
    def sniff(self, document: Document) -> int: ...
    def plan(self, document: Document, context: Context) -> Plan | None: ...


@cache
def frameworks() -> tuple[Framework, ...]:
    return tuple(cast(Framework, import_module(f"lrdoctor.configs.{name}")) for name in MODULES)


def recognise(document: Document) -> Framework | None:
    """The framework whose signs are strongest, the earlier in MODULES where two are equal; None for no config."""
    if not document.root.is_mapping or any(document.root.get(key) is not None for key in RECORDS):
        return None
    ranked = [(framework.sniff(document), -place) for place, framework in enumerate(frameworks())]
    score, place = max(ranked)
    return frameworks()[-place] if score > 0 else None

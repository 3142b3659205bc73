"""Hydra configs of torch training (`_target_`, `defaults`), composed by `hydra_compose`. Plans are in epochs.

The model groups of lightning-hydra-template step their scheduler once per epoch (src/models/mnist_module.py, bddbc24b).
"""

from __future__ import annotations

from dataclasses import replace

from lrdoctor.configs.context import Context
from lrdoctor.configs.hydra_compose import composed
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.lightning import arguments_of, scheduled_plan
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.plan import Plan

NAME = "hydra"


def sniff(document: Document) -> int:
    root = document.root
    if document.kind != "yaml":
        return 0
    if root.get("optimizer._target_") is not None or root.get("model.optimizer._target_") is not None:
        return 5
    defaults = root.get("defaults")
    return 3 if defaults is not None and defaults.is_list else 0


def plan(document: Document, context: Context) -> Plan | None:
    whole, reads = composed(document, context)
    root = interpolated(as_omegaconf(whole))
    keys = Keys(root, NAME)
    model = keys if keys.has("optimizer") else keys.below("model")
    optimizer = arguments_of(model.below("optimizer"), "_target_")
    if optimizer[0] is None and optimizer[1].number("lr") is None:
        return None
    scheduler = arguments_of(_scheduler(model), "_target_")
    made = scheduled_plan(document, NAME, keys, optimizer, scheduler, context, interval="epoch")
    if not keys.has("trainer"):  # a group file: how long the run is stands elsewhere
        made = replace(made, total=type(made.total)(), length=None)
    return replace(made, reads=tuple(reads))


def _scheduler(model: Keys) -> Keys:
    return model.below("scheduler") if model.has("scheduler") else model.below("lr_scheduler")

"""The names of files and folders that are saved together as one checkpoint."""

from __future__ import annotations

import re
from collections.abc import Collection

WEIGHTS = re.compile(
    r"^((adapter_|ft-)?(pytorch_)?model|diffusion_pytorch_model|adapter|(hf|torchtune|meta)_model_\d+)"
    r"(-\d+-of-\d+)?(_\d+)?\.(bin|safetensors|pt)$"
)
WEIGHTS_FOLDER = re.compile(r"^(pytorch_)?model(_fsdp)?(_\d+)?$")  # FSDP's shards, a DCP folder
SCHEDULER = re.compile(r"^scheduler(_\d+)?\.(pt|bin)$")
OPTIMIZER = re.compile(r"^optimizer(_\d+)?\.(pt|bin)$")
OPTIMIZER_FOLDER = re.compile(r"^optimizer(_\d+)?$")
DEEPSPEED = re.compile(r"^(zero_pp_rank_0_)?mp_rank_00(_\d+)?_model_states\.pt$")  # the first form is ZeRO-3's
ZERO_SHARD = re.compile(r"zero_pp_rank_\d+_.*optim_states\.pt$")
MEGATRON_RANK = re.compile(r"^mp_rank_\d{2}(_\d{3})?(_\d{3})?$")  # tensor, pipeline and expert rank
MEGATRON_FILE = "model_optim_rng.pt"
# Files beside the shards of a DCP folder with all that is not sharded: Lightning's FSDP strategy, Megatron Core.
BESIDE_SHARDS = frozenset({"meta.pt", "common.pt"})
RECIPE_STATE = "recipe_state.pt"  # torchtune
TRAINER_STATE = "trainer_state.json"
METADATA, SHARD_SUFFIX = ".metadata", ".distcp"  # torch.distributed.checkpoint
RANDOM_STATE = re.compile(r"^(random_states_\d+\.pkl|rng_state(_\d+)?\.pth)$")
HF_STEP = re.compile(r"^checkpoint-(\d+)$")
STEP = re.compile(r"^(?:(?:global_)?step[-_]?|iter_)(\d+)$")
# The file beside saves that names the one a resume takes: Megatron, DeepSpeed.
TRACKERS = ("latest_checkpointed_iteration.txt", "latest")


def is_checkpoint_set(folder_name: str, names: Collection[str]) -> bool:
    """Whether a folder with these names in it is one checkpoint."""
    if METADATA in names or RECIPE_STATE in names or any(name.endswith(SHARD_SUFFIX) for name in names):
        return True
    if any(pattern.match(name) for pattern in (SCHEDULER, OPTIMIZER, DEEPSPEED, MEGATRON_RANK) for name in names):
        return True
    stamped = HF_STEP.match(folder_name) is not None
    return stamped and (TRAINER_STATE in names or any(map(WEIGHTS.match, names)))


def is_part_of_set(name: str) -> bool:
    """Whether a folder of this name inside a checkpoint is a part of it, and no checkpoint of its own."""
    return any(pattern.match(name) for pattern in (OPTIMIZER_FOLDER, WEIGHTS_FOLDER, MEGATRON_RANK, STEP))


def step_in_name(folder_name: str) -> int | None:
    """The step that a folder is named after."""
    match = HF_STEP.match(folder_name) or STEP.match(folder_name)
    return int(match[1]) if match else None

"""What the names of logged series mean: learning rate, momentum, loss, metric.

The vocabulary is that of public training logs: TensorBoard, Lightning, timm, Ultralytics, mmengine, detectron2,
Transformers, Keras, Stable-Baselines3, ML-Agents, DeepSpeed and W&B spell them differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Role = Literal["train-loss", "eval-loss", "metric", "momentum", "grad-norm"]


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
# A name with one of these words speaks of the LR's surroundings, not of the LR in force.
_NOT_LR = _word_set(
    "momentum weight decay wd scale scaler mult multiplier factor ratio config hparam hparams patience finder "
    "loss ema betas beta eps warmup count bad schedule error"
)
_SECONDARY = frozenset({"base", "initial", "max", "min", "target", "default"})
_EVAL = ("val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing")
_TOTAL = _word_set(
    "train training tr loss losses total step steps epoch batch mean avg average running lm iter overall all "
    "metrics metric trainer smoothed"
)
_METRIC = _word_set(
    "acc accuracy top top1 top5 acc1 acc5 map ap ar f1 auc iou miou reward bleu rouge precision recall score dice "
    "psnr ssim perplexity ppl r2 mae mse"
)
_REINFORCEMENT = _word_set("policy value entropy actor critic")


@dataclass(frozen=True, slots=True)
class LrName:
    """A tag that names a learning rate. `family` is the tag without the group's index, `index` that index (or -1).

    `secondary` marks names of a base or limiting LR ("base_lr"), used only where nothing better is logged.
    """

    family: str
    index: int
    secondary: bool


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words and numbers of a name, lower case: "Policy/Learning Rate" -> ("policy", "learning", "rate")."""
    return tuple(word.lower() for word in _WORD.findall(text))


@lru_cache(maxsize=4096)
def lr_name(tag: str) -> LrName | None:
    """What a tag says about a learning rate; None where it names something else."""
    found = words(tag)
    if not _names_lr(found) or _NOT_LR.intersection(found):
        return None
    family, index = _split_index(tag)
    return LrName(family, index, bool(_SECONDARY.intersection(found)))


def _names_lr(found: tuple[str, ...]) -> bool:
    joined = " ".join(found)
    return "lr" in found or "lrs" in found or "learningrate" in found or "learning rate" in joined


def _split_index(tag: str) -> tuple[str, int]:
    """ "x/lr2" -> ("x/lr", 2), "lr-SGD/pg1" -> ("lr-SGD", 1), "train_lr[0]" -> ("train_lr", 0), "lr" -> ("lr", -1)."""
    match = re.fullmatch(r"(.*?)(?:[/_.-]?(?:pg|group_?|param_group_?|g)?_?(\d+)|\[(\d+)\])", tag)
    if match is None or not match.group(1):
        return tag, -1
    return match.group(1), int(match.group(2) or match.group(3))


@lru_cache(maxsize=4096)
def role_of(tag: str, *, evaluating: bool = False) -> Role | None:
    """The role of a series by its tag; `evaluating` where the file is an evaluation's own. A loss scale is no loss."""
    found = words(tag)
    if "gnorm" in found or ("norm" in found and ("grad" in found or "gradient" in found)):
        return "grad-norm"
    if "scale" in found:
        return None
    if "loss" in found or "losses" in found or "nll" in found:
        return "eval-loss" if evaluating or is_eval(tag) else "train-loss"
    if _names_momentum(found):
        return "momentum"
    return "metric" if _METRIC.intersection(found) else None


def _names_momentum(found: tuple[str, ...]) -> bool:
    return "momentum" in found or "mom" in found or ("beta" in found and "1" in found)


def is_eval(tag: str) -> bool:
    """Whether the tag speaks of held-out data."""
    return any(word in _EVAL for word in words(tag))


def eval_rank(tag: str) -> int:
    """Validation data before test data."""
    return min((_EVAL.index(word) for word in words(tag) if word in _EVAL), default=len(_EVAL))


def is_total_loss(tag: str) -> bool:
    """Whether the tag is the whole loss and not one part of it ("box_loss")."""
    return all(word in _TOTAL or word in _EVAL for word in words(tag))


def is_reinforcement(tag: str) -> bool:
    """Whether the tag is a loss of reinforcement learning, whose parts do not add up to one objective."""
    return bool(_REINFORCEMENT.intersection(words(tag)))

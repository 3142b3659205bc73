"""Whether a run is the pre-training of a language model: by what its log names, else by how its loss begins."""

from __future__ import annotations

import re

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Curve, Trajectory

_ACCURACY = re.compile(r"(^|[^a-z])(acc(uracy)?|top-?[15])($|[^a-z])", re.IGNORECASE)
_PERPLEXITY = re.compile(r"ppl|perplexity", re.IGNORECASE)  # beside it an accuracy is that of the next token
_NOT_TOKENS = re.compile(
    r"(^|[^a-z])(m?ap(50)?|m?iou|dice|auc|psnr|ssim|fid|mse|mae|rmse|r2|reward|return|wer|bbox|box|seg"
    r"|resnet\w*|vit\w*|deit\w*|swin\w*|convnext\w*|yolo\w*|detr\w*|unet\w*|image\w*|cifar\w*|mnist|imagenet\w*|coco)($|[^a-z])",
    re.IGNORECASE,
)
_TOKENS = re.compile(
    r"ppl|perplexity|token|causal|(^|[^a-z])(lm|gpt\w*|llama\w*|mistral\w*|qwen\w*|pythia\w*)($|[^a-z])", re.I
)
_NOT_TOKEN_FRAMEWORKS = {"timm", "ultralytics", "detectron2", "mmengine", "mmcv", "mmdetection", "detr", "mae", "sb3"}

_UPDATES = np.array([0.0, 5.0, 17.0, 67.0, 150.0, 250.0, 450.0, 650.0])
_LOWEST = np.array([8.5, 6.2, 4.8, 4.4, 4.0, 3.5, 3.1, 2.9])
_HIGHEST = np.array([13.6, 10.8, 7.6, 6.8, 6.3, 6.0, 5.5, 5.2])
"""Losses language models have after so many updates at the peak LR (warmup counting less): those of the library, which
has vocabularies of 32,000 and more, and a nat beyond. A regression is elsewhere: it learns its bulk in 100 updates."""

_SHOWN = 100.0  # updates at the peak before which a loss shows the beginning


def foreign_to_tokens(run: Run, trajectory: Trajectory) -> str | None:
    """The name of a model, metric or framework that says the run is something else."""
    framework = (run.framework or "").lower()
    if framework in _NOT_TOKEN_FRAMEWORKS:
        return framework
    tags = [curve.tag for curve in trajectory.curves]
    accuracy_counts = not any(_PERPLEXITY.search(tag) for tag in tags)
    for text in (" ".join(_named(run)), *tags):
        if _NOT_TOKENS.search(text) or (accuracy_counts and _ACCURACY.search(text)):
            return text
    return None


def named_tokens(run: Run, trajectory: Trajectory) -> bool:
    """Whether the model, a tag or a setting names a language model."""
    tags = [curve.tag for curve in trajectory.curves]
    return run.hint("max_tokens") is not None or any(_TOKENS.search(text) for text in (*_named(run), *tags))


def beginning(trajectory: Trajectory, lr: FloatArray) -> tuple[float, float] | bool | None:
    """Whether the losses begin as a language model's do; None where the log does not show the beginning.

    (update, loss) of the first that no language model of a usual vocabulary has there. `lr` (T,) is the executed one.
    """
    done = np.concatenate([[0.0], np.cumsum(lr / lr.max())])
    shown = False
    for curve in trajectory.curves:
        if curve.role not in ("train-loss", "eval-loss"):
            continue
        update, at, loss = _early(curve, done)
        odd = (loss < np.interp(at, _UPDATES, _LOWEST)) | (loss > np.interp(at, _UPDATES, _HIGHEST))
        if odd.any():
            first = int(np.argmax(odd))
            return float(update[first]), float(loss[first])
        shown = shown or bool((at <= _SHOWN).any())
    return True if shown else None


def _early(curve: Curve, done: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(M,) update, updates at the peak before its loss was taken, and loss, as far as the beginning goes.

    An evaluation may be before the update it is logged at or after it; its loss is taken to be after.
    """
    index = np.clip(np.round(curve.steps), -1, len(done) - 2).astype(np.int64) + (curve.role == "eval-loss")
    at = done[np.maximum(index, 0)]
    early = np.isfinite(curve.values) & (at <= _UPDATES[-1])
    return curve.steps[early], at[early], curve.values[early]


def _named(run: Run) -> list[str]:
    return [str(hint.value) for hint in run.hints if hint.name in ("model", "task")]

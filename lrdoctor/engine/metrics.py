"""Which way a metric is better, by its name, and whether it got better."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import Curve

Better = Literal["higher", "lower"]

_WORD = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_LOWER = frozenset({
    "loss", "losses", "nll", "error", "err", "mae", "mse", "rmse", "perplexity", "ppl", "wer", "cer", "fid",
})  # fmt: skip
_HIGHER = frozenset({
    "acc", "accuracy", "top", "auc", "auroc", "f", "map", "ap", "ar", "iou", "miou", "dice", "bleu", "rouge",
    "precision", "recall", "psnr", "ssim", "score", "reward", "return",
})  # fmt: skip


def better(curve: Curve) -> Better | None:
    """Whether higher or lower values of a curve are better; None where its name does not tell."""
    words = {word.lower() for word in _WORD.findall(curve.tag)}
    lower = curve.role in ("train-loss", "eval-loss") or bool(words & _LOWER)
    higher = bool(words & _HIGHER)
    if lower == higher:
        return "lower" if "loss" in words else None
    return "lower" if lower else "higher"


def trend(values: FloatArray) -> float:
    """Spearman's rank correlation of the values with their order, in [-1, 1]; 0 for fewer than three points."""
    values = values[np.isfinite(values)]
    if len(values) < 3 or values.max() == values.min():
        return 0.0
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])

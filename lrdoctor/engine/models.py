"""Which model a run trains, and whether from scratch, by what its settings name."""

from __future__ import annotations

import re
from typing import Literal

from lrdoctor.model.run import Run

_TRANSFORMER = re.compile(
    r"transformer|attention|gpt|llama|bert|bart|(^|[^a-z])t5|vit([^a-z]|$)|deit|swin|beit|mistral|qwen|falcon|bloom|gemma"
    r"|mixtral|pythia|neox|mpt|phi[-_\d]|(^|[^a-z])opt[-_\d]|whisper|conformer|perceiver|(^|[^a-z])dit([^a-z]|$)",
    re.IGNORECASE,
)
_PRETRAINED_KEYS = ("name_or_path", "base_model")
"""Settings whose model is one to load weights from."""


def is_transformer(name: str) -> bool:
    """Whether a model's name is that of a transformer."""
    return _TRANSFORMER.search(name) is not None


def transformer_of(run: Run) -> str | None:
    """The transformer a run's settings name; None where they name none."""
    names = (hint.value for hint in run.hints if hint.name == "model")
    return next((name for name in names if isinstance(name, str) and _TRANSFORMER.search(name)), None)


def fine_tunes(run: Run) -> bool:
    """Whether the settings name weights to start from, or say so."""
    told = any(hint.name == "finetune" and hint.value is True for hint in run.hints)
    loaded = any(hint.name == "model" and any(key in hint.key for key in _PRETRAINED_KEYS) for hint in run.hints)
    lora = any("lora" in str(hint.value).lower() for hint in run.hints if hint.name in ("model", "task"))
    return told or loaded or lora


ModelKind = Literal["language", "vision-transformer", "convolutional", "detector"]

_KINDS: tuple[tuple[ModelKind, re.Pattern[str]], ...] = (
    ("detector", re.compile(r"r-?cnn|retinanet|fcos|cascade.*rcnn|ssd\d", re.IGNORECASE)),
    ("vision-transformer", re.compile(r"(^|[^a-z])(vit|deit|swin|beit|cait|pvt|mvit)([^a-z]|$)", re.IGNORECASE)),
    (
        "language",
        re.compile(
            r"gpt|llama|bert|(^|[^a-z])bart|(^|[^a-z])t5|mistral|mixtral|qwen|falcon|bloom|gemma|pythia|neox|(^|[^a-z])mpt"
            r"|phi[-_\d]|(^|[^a-z])opt[-_\d]|electra|deberta|smollm|olmo|transformer",
            re.IGNORECASE,
        ),
    ),
    (
        "convolutional",
        re.compile(r"res-?net|resnext|vgg|densenet|efficientnet|mobilenet|convnet|(^|[^a-z])cnn|u-?net|regnet", re.I),
    ),
)


def model_kind(name: str | None) -> ModelKind | None:
    """The kind behind a model's name; None where the name says nothing."""
    return next((kind for kind, pattern in _KINDS if name and pattern.search(name)), None)

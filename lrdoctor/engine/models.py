"""Which kind of model a run trains, by the names models go by."""

from __future__ import annotations

import re
from typing import Literal

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

"""Two small trainings that run anywhere torch does: a GPT on Python's own help texts, a CNN on drawn digits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lrdoctor.simulate.setting import Setting

CONTEXT, BATCH = 64, 16
_EVALUATED = 4  # batches held out


class Gpt(nn.Module):
    """A decoder of two layers over characters: some 120,000 parameters."""

    def __init__(self, vocabulary: int, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(CONTEXT), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        mask = self.mask[: ids.shape[1], : ids.shape[1]]  # type: ignore[index]  # a buffer
        hidden = self.layers(self.tokens(ids) + self.places(places), mask=mask, is_causal=True)
        logits: torch.Tensor = self.head(self.norm(hidden))
        return logits


def gpt(seed: int, checkpoint: str | None = None) -> Setting:
    """The GPT on the text of Python's `help()` topics, which every Python brings along; AdamW, peak LR 3e-3."""
    ids, vocabulary = _text()
    _prepare(seed)
    model = Gpt(vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
    _load(model, optimizer, checkpoint)
    held = len(ids) // 10

    def batches(first: int) -> Iterator[torch.Tensor]:
        update = first
        while True:
            yield _windows(ids[:-held], seed, update)
            update += 1

    def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        logits = model(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    def evaluate(model: nn.Module) -> float:
        return _mean_loss(model, loss, [_windows(ids[-held:], 0, index) for index in range(_EVALUATED)])

    return Setting(model, optimizer, loss, batches, evaluate, peak_lr=3e-3)


def _text() -> tuple[torch.Tensor, int]:
    """Python's help topics as numbers of characters, and how many different ones there are."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    characters = {character: index for index, character in enumerate(sorted(set(text)))}
    return torch.tensor([characters[character] for character in text]), len(characters)


def _windows(ids: torch.Tensor, seed: int, update: int) -> torch.Tensor:
    """(BATCH, CONTEXT + 1) pieces of the text; a function of seed and update, so that a replay can start anywhere."""
    starts = np.random.default_rng((seed, update)).integers(0, len(ids) - CONTEXT - 1, BATCH)
    return torch.stack([ids[start : start + CONTEXT + 1] for start in starts.tolist()])


_SEGMENTS = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)
_BARS = (  # rows and columns of the seven segments in a 9 x 6 cell
    (slice(0, 1), slice(1, 5)), (slice(1, 4), slice(0, 1)), (slice(1, 4), slice(5, 6)), (slice(4, 5), slice(1, 5)),
    (slice(5, 8), slice(0, 1)), (slice(5, 8), slice(5, 6)), (slice(8, 9), slice(1, 5)),
)  # fmt: skip


def digits(seed: int, checkpoint: str | None = None) -> Setting:
    """A CNN of two layers on digits drawn as seven segments, shifted and noisy; SGD with momentum, peak LR 0.1."""
    _prepare(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    _load(model, optimizer, checkpoint)

    def batches(first: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        update = first
        while True:
            yield _drawn(64, seed + 1, update)
            update += 1

    def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    def evaluate(model: nn.Module) -> float:
        return _mean_loss(model, loss, [_drawn(256, 0, index) for index in range(_EVALUATED)])

    return Setting(model, optimizer, loss, batches, evaluate, peak_lr=0.1)


def _drawn(count: int, seed: int, update: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng((seed, update))
    labels = generator.integers(0, 10, count)
    images = generator.normal(0.0, 0.3, (count, 1, 14, 12)).astype(np.float32)
    for image, label in zip(images, labels.tolist(), strict=True):
        top, left = generator.integers(0, 6), generator.integers(0, 7)
        cell = image[0, top : top + 9, left : left + 6]
        for bar, lit in zip(_BARS, _SEGMENTS[label], strict=True):
            cell[bar] += float(lit)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _mean_loss(model: nn.Module, loss: Any, batches: list[Any]) -> float:
    training = model.training
    model.eval()
    with torch.no_grad():
        value = float(np.mean([float(loss(model, batch)) for batch in batches]))
    model.train(training)
    return value


def _prepare(seed: int) -> None:
    torch.set_num_threads(1)  # so small a model is slower on two
    torch.manual_seed(seed)


def _load(model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: str | None) -> None:
    """A file with `model` and, where it is there, `optimizer` state; tensors and plain values only."""
    if checkpoint is not None:
        held = torch.load(Path(checkpoint), weights_only=True)
        model.load_state_dict(held["model"])
        if "optimizer" in held:
            optimizer.load_state_dict(held["optimizer"])

"""Two small trainings that fetch nothing: a GPT on Python's own help texts, a CNN on scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lrdoctor.errors import MissingExtraError, UsageError
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


def digits(seed: int, checkpoint: str | None = None) -> Setting:
    """A CNN of two layers on the 1,797 written digits of scikit-learn, one in five held out; SGD, peak LR 0.1.

    Raises `MissingExtraError` without scikit-learn.
    """
    images, labels = _written()
    places = torch.arange(len(images))
    train, held = places[places % 5 != 0], places[places % 5 == 0]
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
            chosen = _shuffled(len(train), seed, update)
            yield images[train[chosen]], labels[train[chosen]]
            update += 1

    def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    def evaluate(model: nn.Module) -> float:
        return _mean_loss(model, loss, [(images[held], labels[held])])

    return Setting(model, optimizer, loss, batches, evaluate, peak_lr=0.1)


@cache
def _written() -> tuple[torch.Tensor, torch.Tensor]:
    """Images (1797, 1, 8, 8), 0 to 1, and what they show."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError(
            "The bundled `digits` are scikit-learn's, which is not installed.",
            why=str(error),
            hint="pip install 'lrdoctor[replay]', or take the bundled `gpt`",
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16.0, torch.tensor(labels)


def _shuffled(count: int, seed: int, update: int, size: int = 64) -> torch.Tensor:
    """(size,) places of the batch of an update: whole batches of a new order each epoch."""
    epoch, batch = divmod(update, count // size)
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return torch.from_numpy(order[batch * size : (batch + 1) * size])


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
        try:
            held = torch.load(Path(checkpoint), weights_only=True)
            model.load_state_dict(held["model"])
            if "optimizer" in held:
                optimizer.load_state_dict(held["optimizer"])
        except Exception as error:  # torch raises whatever the bytes of the file lead to
            raise UsageError(
                "The checkpoint does not fit the bundled model.",
                where=checkpoint,
                why=f"{type(error).__name__}: {error}",
                hint="a file torch.save wrote, with the state dicts `model` and perhaps `optimizer`",
            ) from error

"""What a replay trains: a model, its optimizer, its loss and its data, built by a factory of the user's."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrdoctor.errors import LrdoctorError, UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """One training, ready for its first update.

    `loss(model, batch)` is the training loss; `batches(first)` yields the batches from update `first` on, in an order
    that depends on the seed alone. `evaluate(model)` is the loss that decides, on data of its own; without it the mean
    of the last tenth of the training losses is. `peak_lr`: the LRs of the run are scaled so that their peak is this;
    None trains with the run's own LRs.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[torch.nn.Module, Any], torch.Tensor]
    batches: Callable[[int], Iterator[Any]]
    evaluate: Callable[[torch.nn.Module], float] | None = None
    peak_lr: float | None = None


Factory = Callable[..., Setting]
"""factory(seed) -> Setting, or factory(seed, checkpoint=PATH) where the replay starts from one."""

BUNDLED = {"gpt": "lrdoctor.simulate.bundled:gpt", "digits": "lrdoctor.simulate.bundled:digits"}


@contextmanager
def code_of_the_user(what: str) -> Iterator[None]:
    """Whatever fails inside becomes a `UsageError` that says where in the user's own code."""
    try:
        yield
    except LrdoctorError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename]
        place = (own or frames)[-1]
        raise UsageError(
            f"{what} failed.", where=f"{place.filename}:{place.lineno}", why=f"{type(error).__name__}: {error}"
        ) from error


def build(factory: Factory, seed: int, checkpoint: str | None = None) -> Setting:
    """What the factory makes of a seed. Raises `UsageError` where it fails or makes something else than a Setting."""
    with code_of_the_user("The factory"):
        setting = factory(seed) if checkpoint is None else factory(seed, checkpoint=checkpoint)
    if not isinstance(setting, Setting):
        raise UsageError(
            f"The factory gave a {type(setting).__name__}.", hint="it must return lrdoctor.simulate.setting.Setting"
        )
    return setting


def load_factory(name: str) -> Factory:
    """The factory called `package.module:function`, or one of the bundled ones; imports the module, as asked."""
    module_name, colon, function = BUNDLED.get(name, name).partition(":")
    if not colon or not module_name or not function:
        raise UsageError(f"{name!r} names no factory.", hint=f"package.module:function, or one of {', '.join(BUNDLED)}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does
    try:
        factory = getattr(importlib.import_module(module_name), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"The factory {name!r} could not be imported.",
            why=str(error),
            hint="run from the folder it is importable from",
        ) from error
    if not callable(factory):
        raise UsageError(f"{name!r} is no function.", hint="it is called with a seed and returns a Setting")
    found: Factory = factory
    return found

"""A Lightning callback: `Trainer(callbacks=[LRDoctor()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lrdoctor.callbacks.guarding import Guard, guard
from lrdoctor.errors import MissingExtraError

if TYPE_CHECKING:
    Callback = object
else:
    try:
        from lightning.pytorch import Callback
    except ImportError:
        try:
            from pytorch_lightning import Callback
        except ImportError as error:
            raise MissingExtraError("Lightning is not installed.", hint="pip install lightning") from error


class LRDoctor(Callback):
    """Checks every optimizer's plan when training starts and its executed LR as it goes.

    `strict` stops the training at an error. `guards` holds a `Guard` an optimizer while the training runs.
    """

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
        self.guards: list[Guard] = []

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """One guard an optimizer, with the scheduler that belongs to it and how often Lightning steps that."""
        total, per_epoch = _lengths(trainer)
        for optimizer in trainer.optimizers:
            config = next((one for one in trainer.lr_scheduler_configs if one.scheduler.optimizer is optimizer), None)
            self.guards.append(
                guard(
                    optimizer,
                    config.scheduler if config is not None else None,
                    total_steps=total,
                    steps_per_epoch=per_epoch,
                    interval=_interval(config),
                    model=type(module).__name__,
                    framework="lightning",
                    strict=self.strict,
                )
            )

    def on_train_end(self, trainer: Any, module: Any) -> None:
        for one in self.guards:
            one.close()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        for one in self.guards:
            one.__exit__(type(exception), exception, None)


def _lengths(trainer: Any) -> tuple[int | None, int | None]:
    """Planned updates, and updates an epoch; None where Lightning does not know them (an endless loader)."""
    total = trainer.estimated_stepping_batches
    batches = trainer.num_training_batches
    known = isinstance(batches, int) and batches > 0
    per_epoch = -(-batches // trainer.accumulate_grad_batches) if known else None
    return (int(total) if total != float("inf") and total > 0 else None), per_epoch


def _interval(config: Any) -> Literal["update", "epoch"] | None:
    if config is None or config.frequency != 1:
        return None
    return "update" if config.interval == "step" else "epoch"

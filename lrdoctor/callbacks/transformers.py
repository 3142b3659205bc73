"""A Transformers callback: `Trainer(callbacks=[LRDoctor()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrdoctor.callbacks.guarding import Guard, guard
from lrdoctor.errors import MissingExtraError

if TYPE_CHECKING:
    TrainerCallback = object
else:
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtraError("Transformers is not installed.", hint="pip install transformers") from error


class LRDoctor(TrainerCallback):
    """Checks the plan when training starts and the executed LR as it goes; `strict` stops at an error."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.guard: Guard | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        optimizer = getattr(given.get("optimizer"), "optimizer", given.get("optimizer"))  # accelerate wraps it
        if optimizer is None or not hasattr(optimizer, "register_step_pre_hook"):
            return
        scheduler = given.get("lr_scheduler")
        epochs = float(state.num_train_epochs or 0)
        model = getattr(getattr(given.get("model"), "config", None), "model_type", None)
        self.guard = guard(
            optimizer,
            getattr(scheduler, "scheduler", scheduler),
            total_steps=int(state.max_steps) if state.max_steps > 0 else None,
            steps_per_epoch=round(state.max_steps / epochs) if epochs and state.max_steps > 0 else None,
            interval="update",
            batch_size=args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            model=model,
            framework="transformers",
            strict=self.strict,
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.guard is not None:
            self.guard.close()

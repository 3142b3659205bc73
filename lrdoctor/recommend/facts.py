"""What a run or its settings say that matters for a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lrdoctor.engine.models import ModelKind, fine_tunes, model_kind
from lrdoctor.engine.optimizers import OptimizerKind, optimizer_kind, optimizer_of
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory

Task = Literal["scratch", "finetune", "adapter"]
BETA2 = 0.999
"""Adam's default in torch, where the settings do not say."""
_ADAPTER_KEYS = ("peft_type", "use_peft", "use_lora", "adapter", "finetuning_type")


@dataclass(frozen=True, slots=True)
class Facts:
    """None where a thing is not known. `peak_lr` is the run's own, `peak_from` says where it was read.

    `steps` are optimizer updates, planned or else executed. `diverged` where the loss broke near the peak. `faults` are
    the findings of an audit that leave the run's own peak in doubt ("LR101 onecycle-stepped-per-epoch").
    """

    path: str
    framework: str | None = None
    optimizer: str | None = None
    model: str | None = None
    task: Task | None = None
    steps: int | None = None
    steps_per_epoch: float | None = None
    batch_size: int | None = None
    peak_lr: float | None = None
    peak_from: str = ""
    beta2: float | None = None
    diverged: bool = False
    faults: tuple[str, ...] = ()

    @property
    def optimizer_kind(self) -> OptimizerKind | None:
        return optimizer_kind(self.optimizer)

    @property
    def model_kind(self) -> ModelKind | None:
        return model_kind(self.model)

    @property
    def epochs(self) -> float | None:
        return self.steps / self.steps_per_epoch if self.steps and self.steps_per_epoch else None


def facts_of(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    *,
    diverged: bool = False,
    faults: tuple[str, ...] = (),
) -> Facts:
    """The facts of a run; of settings alone where the trajectory is empty."""
    model = run.declared("model")
    peak, source = _peak(run, trajectory, identification)
    return Facts(
        path=run.path,
        framework=run.framework,
        optimizer=optimizer_of(run),
        model=model if isinstance(model, str) else None,
        task=_task(run),
        steps=_steps(run, trajectory),
        steps_per_epoch=_per_epoch(run, trajectory),
        batch_size=trajectory.batch_size,
        peak_lr=peak,
        peak_from=source,
        beta2=_number(run, "beta2"),
        diverged=diverged,
        faults=faults,
    )


def _peak(run: Run, trajectory: Trajectory, identification: Identification) -> tuple[float | None, str]:
    lead = identification.lead
    if lead is not None and lead.fit.sure:
        return lead.fit.peak_lr, "the executed learning rate"
    if trajectory.lead is not None and trajectory.peak_lr > 0:
        return trajectory.peak_lr, "the largest logged learning rate"
    hint = run.hint("lr")
    value = _number(run, "lr")
    return (value, f"{hint.key} in {hint.path}") if hint is not None and value else (None, "")


def _steps(run: Run, trajectory: Trajectory) -> int | None:
    if trajectory.step_unit == "epoch":
        per_epoch = _per_epoch(run, trajectory)
        length = trajectory.planned_steps or trajectory.steps
        return round(length * per_epoch) if per_epoch else None
    if trajectory.step_unit == "update":
        return trajectory.planned_steps or trajectory.steps or None
    most, epochs, per = _number(run, "max_steps"), _number(run, "epochs"), _per_epoch(run, trajectory)
    if most:
        return round(most)
    return round(epochs * per) if epochs and per else None


def _per_epoch(run: Run, trajectory: Trajectory) -> float | None:
    """Logged, declared, or from the number of examples and the batch."""
    if trajectory.steps_per_epoch and trajectory.step_unit == "update":
        return trajectory.steps_per_epoch
    said, size = _number(run, "steps_per_epoch"), _number(run, "dataset_size")
    if said:
        return said
    return size / trajectory.batch_size if size and trajectory.batch_size else None


def _task(run: Run) -> Task | None:
    """An adapter where a setting names one, fine-tuning where weights to start from are named; else it is not known."""
    hint = run.hint("finetune")
    told = hint is not None and hint.value is True and hint.key.lower().rpartition(".")[2] in _ADAPTER_KEYS
    lora = any("lora" in str(one.value).lower() for one in run.hints if one.name in ("model", "task"))
    if told or lora:
        return "adapter"
    return "finetune" if fine_tunes(run) else None


def _number(run: Run, name: str) -> float | None:
    value = run.declared(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

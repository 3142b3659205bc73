"""Logs as trainings leave them: one run's rows in the form of five loggers, each with its own rounding and counting."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """What was logged: `steps` (T,) 0-based optimizer updates, `lr` (T,) values a parameter group.

    `per_epoch` is the number of updates an epoch, `planned` the length a trainer states, both None where unknown;
    `accuracy` is NaN but at the end of an epoch.
    """

    steps: npt.NDArray[np.int64]
    lr: Mapping[str, Floats]
    loss: Floats | None = None
    per_epoch: int | None = None
    planned: int | None = None
    accuracy: Floats | None = None

    def every(self, cadence: int, first: int = 0) -> Rows:
        """Every `cadence`-th row from row `first` on, and each with an accuracy, as a sparser logger has them."""
        keep = np.zeros(len(self.steps), dtype=bool)
        keep[first::cadence] = True
        if self.accuracy is not None:
            keep |= np.isfinite(self.accuracy)
        loss = self.loss[keep] if self.loss is not None else None
        accuracy = self.accuracy[keep] if self.accuracy is not None else None
        lr = {name: values[keep] for name, values in self.lr.items()}
        return Rows(self.steps[keep], lr, loss, self.per_epoch, self.planned, accuracy)

    def accuracy_at(self, index: int) -> float | None:
        """The accuracy of a row, or None."""
        value = self.accuracy[index] if self.accuracy is not None else np.nan
        return float(value) if np.isfinite(value) else None


def tensorboard(folder: Path, rows: Rows) -> None:
    """float32 values; a tag a parameter group."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for index, step in enumerate(rows.steps.tolist()):
            for name, values in rows.lr.items():
                writer.add_scalar(f"train/{name}", float(values[index]), step)
            if rows.loss is not None:
                writer.add_scalar("train/loss", float(rows.loss[index]), step)
            if (accuracy := rows.accuracy_at(index)) is not None:
                writer.add_scalar("val/accuracy", accuracy, step)


def metrics_csv(folder: Path, rows: Rows, form: Callable[[float], str] = repr) -> None:
    """As Lightning's CSVLogger: float64 written out in full."""
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        further = ["val_accuracy"] if rows.accuracy is not None else []
        writer.writerow(["epoch", *rows.lr, "step", "train_loss", *further])
        for index, step in enumerate(rows.steps.tolist()):
            epoch = step // rows.per_epoch if rows.per_epoch else ""
            loss = form(float(rows.loss[index])) if rows.loss is not None else ""
            accuracy = rows.accuracy_at(index)
            last = [form(accuracy) if accuracy is not None else ""] if further else []
            writer.writerow([epoch, *(form(float(values[index])) for values in rows.lr.values()), step, loss, *last])


def six_digits(folder: Path, rows: Rows) -> None:
    """Six significant digits, as Ultralytics and many printf loggers have them."""
    metrics_csv(folder, rows, lambda value: f"{value:.6g}")


def json_lines(folder: Path, rows: Rows) -> None:
    """A line a row, as DETR and MAE write log.txt."""
    with (folder / "log.txt").open("w", encoding="utf-8") as stream:
        for index, step in enumerate(rows.steps.tolist()):
            row: dict[str, float] = {f"train_{name}": float(values[index]) for name, values in rows.lr.items()}
            if rows.loss is not None:
                row["train_loss"] = float(rows.loss[index])
            if (accuracy := rows.accuracy_at(index)) is not None:
                row["val_accuracy"] = accuracy
            row["step"] = step
            if rows.per_epoch:
                row["epoch"] = step // rows.per_epoch
            stream.write(json.dumps(row) + "\n")


def trainer_state(folder: Path, rows: Rows) -> None:
    """Transformers' trainer_state.json: steps count from one, an entry after each update."""
    name = next(iter(rows.lr))
    history = []
    for index, step in enumerate(rows.steps.tolist()):
        entry = {"learning_rate": float(rows.lr[name][index]), "step": step + 1}
        if rows.loss is not None:
            entry["loss"] = float(rows.loss[index])
        if (accuracy := rows.accuracy_at(index)) is not None:
            entry["eval_accuracy"] = accuracy
        if rows.per_epoch:
            entry["epoch"] = (step + 1) / rows.per_epoch
        history.append(entry)
    state = {"global_step": int(rows.steps[-1]) + 1, "log_history": history}
    if rows.planned:
        state["max_steps"] = rows.planned
    (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")


LOGGERS: Mapping[str, Callable[[Path, Rows], None]] = {
    "tensorboard": tensorboard,
    "csv": metrics_csv,
    "six-digits": six_digits,
    "json": json_lines,
    "trainer_state": trainer_state,
}

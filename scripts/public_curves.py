"""The public loss curves the library is fitted to, as update-for-update learning rates and losses.

The files are described by their MANIFEST.tsv. What has to be known beyond it: the learning rate cell is empty on rows
that hold only a validation loss; a cooldown run starts at a checkpoint, so the stable part is put in front; a stable
run logs lr 0 on its very last row; cosine runs warm up along a cosine; the second source starts after its warmup.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrdoctor.model.arrays import FloatArray

CURVES = Path(os.environ.get("LRDOCTOR_CURVES") or Path(__file__).resolve().parents[2] / "shared" / "data" / "curves")
WARMUP = {"schaipp": 300, "multipowerlaw": 2160}  # updates, stated by the sources
START_FACTOR = 0.01  # of the linear warmup in schaipp: lr / peak = .175 after 50 of 300 updates


@dataclass(frozen=True, slots=True, eq=False)
class PublicCurve:
    """One run: `u` (T,) lr of each update / peak, `n` (M,) updates done at each loss (M,).

    `train_n` and `train_loss` are the training losses, single batches, where the source has them; else empty.
    """

    file: str
    model: str
    peak_lr: float
    kind: str
    warmup: int
    u: FloatArray
    n: FloatArray
    loss: FloatArray
    source: str
    commit: str
    train_n: FloatArray
    train_loss: FloatArray

    @property
    def group(self) -> tuple[str, float]:
        return self.model, self.peak_lr

    @property
    def constant(self) -> bool:
        return float(self.u[-1]) > 0.999 and self.kind == "constant"


def load_curves(folder: Path = CURVES) -> list[PublicCurve]:
    """Every curve of the manifest, in its order."""
    with (folder / "MANIFEST.tsv").open(newline="") as file:
        return [_load(folder, row) for row in csv.DictReader(file, delimiter="\t")]


def _load(folder: Path, row: dict[str, str]) -> PublicCurve:
    source = row["file"].split("/")[0]
    peak = float(f"{float(row['peak_lr']):.3g}")
    columns = _columns(folder / row["file"])
    kind = _kind(row["schedule"], row["file"])
    u = _updates(columns, peak, kind, WARMUP[source])
    key = "val_loss" if "val_loss" in columns else "loss"
    steps, loss = columns["step"], columns[key]
    keep = np.isfinite(loss) & (steps > 0)
    train = columns.get("train_loss", np.full(len(steps), np.nan))
    trained = np.isfinite(train) & (steps > 0)
    return PublicCurve(
        row["file"], row["model"].split(" (")[0], peak, kind, WARMUP[source], u,
        np.minimum(steps[keep], len(u)), loss[keep], source, row["commit"],
        np.minimum(steps[trained], len(u)), train[trained],
    )  # fmt: skip


def _columns(path: Path) -> dict[str, FloatArray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: np.array([float(row[key]) if row[key] else np.nan for row in rows]) for key in rows[0]}


def _kind(schedule: str, file: str) -> str:
    if schedule.startswith("cos"):
        return "cosine"
    stable = schedule.startswith("constant") or "_linear0_" in file or "_sqrt0_" in file
    if stable:
        return "constant"
    return "two-stage" if schedule.startswith("wsdcon") else "decay"


def _updates(columns: dict[str, FloatArray], peak: float, kind: str, warmup: int) -> FloatArray:
    """(T,) relative lr of each update, the part before the first logged row included."""
    logged = np.isfinite(columns["lr"])
    steps, lr = columns["step"][logged], columns["lr"][logged] / peak
    if kind == "constant":
        steps, lr = steps[:-1], lr[:-1]
    total = int(columns["step"][-1])
    t = np.arange(total, dtype=np.float64)
    u = np.interp(t, steps, lr)
    if kind == "two-stage":
        u = np.where(t < steps[np.argmax(lr < 0.99)], 1.0, lr[-1])
    first = steps[0]
    part = np.clip(t / warmup, 0.0, 1.0)
    ramp = 0.5 * (1.0 - np.cos(np.pi * part)) if kind == "cosine" and warmup == WARMUP["schaipp"] else part
    return np.where(t < first, np.minimum(ramp, 1.0) * (1 - START_FACTOR) + START_FACTOR, u)

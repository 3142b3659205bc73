"""Fit the loss law to the public curves, one joint fit a model and peak, and write lrdoctor/simulate/library.json.

python scripts/fit_library.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from public_curves import PublicCurve, load_curves

from lrdoctor.simulate.fit import SIGMA, Observed, fit, thin
from lrdoctor.simulate.gate import first_update
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import SHIPPED, Entry, Library, dump
from lrdoctor.simulate.prior import vague

SOURCES = {
    "schaipp": "github.com/fabian-sp/lr-scheduling (MIT), validation loss of Llama-like models on SlimPajama",
    "multipowerlaw": "github.com/thu-yao-01-luo/MultiPowerLaw (MIT), loss of Llama-2-like models",
}


def main() -> None:
    library = build(load_curves())
    note = "Written by scripts/fit_library.py. Order of theta and covariance: see parameters."
    SHIPPED.write_text(dump(library.entries, note), encoding="utf-8")
    for entry in library.entries:
        print(f"{entry.model:22s} {entry.peak_lr:g}  runs {entry.runs:2d}  ", np.round(entry.theta, 3))
    print("written to", Path(SHIPPED).name)


def build(curves: Sequence[PublicCurve]) -> Library:
    """One entry a (model, peak), each fitted by itself under the vague prior."""
    groups: dict[tuple[str, float], list[PublicCurve]] = defaultdict(list)
    for curve in curves:
        groups[curve.group].append(curve)
    return Library(tuple(_entry(groups[group]) for group in sorted(groups)))


def observe(curve: PublicCurve, n: np.ndarray, loss: np.ndarray) -> Observed:
    """The thinned losses of a curve after its warmup."""
    keep = n >= first_update(curve.warmup)
    n, loss = n[keep], loss[keep]
    chosen = thin(n)
    return Observed(compress(curve.u, n[chosen]), loss[chosen], np.full(len(chosen), SIGMA))


def _entry(curves: Sequence[PublicCurve]) -> Entry:
    posterior = fit([observe(curve, curve.n, curve.loss) for curve in curves], vague())
    head = curves[0]
    return Entry(
        model=head.model,
        peak_lr=head.peak_lr,
        theta=posterior.mode,
        covariance=posterior.covariance,
        final_loss=min(float(curve.loss[-1]) for curve in curves),
        runs=len(curves),
        source=SOURCES[head.source],
        commit=head.commit,
    )


if __name__ == "__main__":
    main()

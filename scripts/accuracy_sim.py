"""How far the loss estimate is off on models it has not seen: every model of the public curves left out in turn.

    python scripts/accuracy_sim.py

The library is used without the model. Each of its runs is then taken as the audited one, cut at the last loss of
another run of the same model, and the loss of that other run is predicted from it: the same updates, another schedule.
The two published laws are fitted to the audited run alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from accuracy_tasks import CONSTANT, DECAYED, Protocol, Result, judge, judge_cut, judge_protocol, judge_training_loss
from fit_library import build
from public_curves import load_curves

from lrdoctor.simulate.law import F7

CLEAR_GAIN = 0.03  # nats, from which on a relative error of the gain is taken
SIGN_GAIN = 0.01
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
CUT = 0.6  # part of the updates a log that was cut early holds
MANY = 20  # runs of a model, from which on the side tasks take every SKIP-th audited run
SKIP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="only these models (default: all)")
    chosen = parser.parse_args().model
    began = perf_counter()
    curves = load_curves()
    whole = build(curves)
    results: list[Result] = []
    noisy: list[Result] = []
    cut: list[Result] = []
    protocol: list[Protocol] = []
    for model in sorted({curve.model for curve in curves}):
        if chosen is None or model in chosen:
            mine, library = [curve for curve in curves if curve.model == model], whole.without(model)
            every = SKIP if len(mine) >= MANY else 1
            results += judge(mine, library)
            noisy += judge_training_loss(mine, library, every)
            cut += judge_cut(mine, library, CUT, every)
            protocol += judge_protocol(mine, library)
    passed = [result for result in results if not result.refused]
    estimated = [result for result in passed if result.law == F7.name]
    print_table("task, from one run", passed, lambda result: f"{result.task}, {result.law}")
    print_table("model left out, f7", estimated, lambda result: result.model)
    print_table("training loss only", [one for one in noisy if not one.refused], lambda result: result.task)
    print_table(f"log cut at {CUT:.0%}", [one for one in cut if not one.refused], lambda result: result.task)
    print_calibration(estimated)
    print_protocol(protocol)
    print_demands(estimated, protocol)
    refused = sum(result.refused for result in results)
    print(f"\n{len(estimated)} predictions, {refused} refused by the fit test; {perf_counter() - began:.0f} s")


def print_table(title: str, results: Sequence[Result], key: Callable[[Result], str]) -> None:
    """One row for each value of `key`: errors, interval and gain."""
    print(f"\n{title:38s}     n  |error| median  90 %   covered  half-width  gain off by (median, 90 %)  sign  prior")
    for name in sorted({*map(key, results)}):
        chosen = [result for result in results if key(result) == name]
        error = np.array([result.error for result in chosen])
        signs = [result.sign_right for result in chosen if abs(result.gain) > SIGN_GAIN]
        gains = _gain_errors(chosen)
        gain = f"{np.median(gains):9.0%} {np.quantile(gains, 0.9):9.0%}" if len(gains) else " " * 15 + "none"
        shares = [result.prediction.prior_share for result in chosen if result.prediction is not None]
        interval = " " * 20
        if shares:
            interval = f" {_covered(chosen):7.0%} {np.median([result.half_width() for result in chosen]):11.4f}"
        print(
            f"{name:38s} {len(chosen):5d}  {np.median(error):14.4f} {np.quantile(error, 0.9):7.4f}{interval}"
            f"  {gain:>26s}"
            f" {np.mean(signs) if signs else float('nan'):6.0%}" + (f" {np.mean(shares):6.0%}" if shares else "")
        )


def print_calibration(results: Sequence[Result]) -> None:
    """Share of intervals that hold the truth at each nominal level: over all pairs, and each model counted once."""
    models = sorted({result.model for result in results})
    print("\nnominal   covered, all   mean over models   least of a model")
    for level in LEVELS:
        each = [_covered([result for result in results if result.model == model], level) for model in models]
        print(f"{level:7.0%} {_covered(results, level):14.0%} {np.mean(each):18.0%} {min(each):18.0%}")


def print_protocol(rows: Sequence[Protocol]) -> None:
    print("\nthree runs fitted, six predicted             R2     RMSE  worst, relative (mean of six, of all)")
    for row in rows:
        print(f"{row.model:20s} {row.law:18s} {row.r2:8.4f} {row.rmse:8.4f} {row.worst:8.4f} {row.worst_point:8.4f}")


def print_demands(results: Sequence[Result], protocol: Sequence[Protocol]) -> None:
    """What was asked of the estimate, what was measured, and whether that is enough."""
    print(f"\n{'demand':66s} asked  measured")
    families = [
        _covered([result for result in results if result.model == model]) for model in {one.model for one in results}
    ]
    rows: list[tuple[str, float, float, bool]] = [
        ("90 % intervals that hold the truth, all", 0.88, _covered(results), True),
        ("90 % intervals that hold the truth, least of a model", 0.80, min(families, default=np.nan), True),
    ]
    for task, median, ninety, width in ((DECAYED, 0.006, 0.018, 0.022), (CONSTANT, 0.010, 0.035, 0.045)):
        chosen = [result for result in results if result.task == task]
        error = [result.error for result in chosen] or [np.nan]
        rows.append((f"{task}: median error", median, float(np.median(error)), False))
        rows.append((f"{task}: 90 % of errors below", ninety, float(np.quantile(error, 0.9)), False))
        widths = [result.half_width() for result in chosen] or [np.nan]
        rows.append((f"{task}: median half-width", width, float(np.median(widths)), False))
    gains = _gain_errors([result for result in results if result.task in (CONSTANT, DECAYED)])
    if len(gains):
        rows.append(("relative error of a clear gain, median", 0.10, float(np.median(gains)), False))
        rows.append(("relative error of a clear gain, 90 % below", 0.25, float(np.quantile(gains, 0.9)), False))
    signs = [result.sign_right for result in results if abs(result.gain) > SIGN_GAIN]
    rows.append((f"sign right where the gain exceeds {SIGN_GAIN}", 0.99, float(np.mean(signs or [np.nan])), True))
    own = [row for row in protocol if row.law == F7.name]
    if own:
        for name, asked, values, least in (
            ("R2", 0.9990, [row.r2 for row in own], True),
            ("RMSE", 0.0045, [row.rmse for row in own], False),
            ("worst of a run", 0.0050, [row.worst for row in own], False),
        ):
            rows.append((f"three fitted, six predicted: {name}, mean of models", asked, float(np.mean(values)), least))
    for name, asked, measured, least in rows:
        met = measured >= asked if least else measured <= asked
        print(f"{name:66s} {'>=' if least else '<='} {asked:.4f} {measured:8.4f}  {'met' if met else 'NOT MET'}")


def _covered(results: Sequence[Result], level: float = 0.9) -> float:
    return float(np.mean([result.covered(level) for result in results])) if results else float("nan")


def _gain_errors(results: Sequence[Result]) -> np.ndarray:
    return np.array([result.gain_error for result in results if abs(result.gain) > CLEAR_GAIN])


if __name__ == "__main__":
    main()

"""A schedule as a person writes it on the command line, or in a file, for a run whose peak and warmup are known.

    cosine                                  the run's own peak, warmup and length
    cosine:T_max=9500,warmup=500,lr=3e-4
    wsd:decay=0.2,shape=sqrt,warmup=500
    linear:end=0.1   constant:lr=5e-4   onecycle:pct_start=0.3   step:step_size=3000,gamma=0.1
    fixed.yaml                              {family, params, warmup, peak_lr, stepped} as the audit's JSON has it

Numbers of steps are optimizer updates; `warmup` comes on top of the family's own length.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrdoctor.errors import UsageError
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    Sequence,
    StepLR,
    Stepped,
    Unknown,
    Warmup,
)

_SQRT_POINTS = 200  # of the straight lines a square-root decay is drawn with
_FILES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Frame:
    """What a schedule is written for: the run's length in updates, its peak LR and its warmup in updates."""

    steps: int
    peak_lr: float
    warmup: float
    steps_per_epoch: float | None = None


@dataclass(frozen=True, slots=True)
class _Family:
    """`build(lr, ticks, options)` with its defaults; `ticks` is what the warmup leaves of the run."""

    build: Callable[[float, int, Mapping[str, Any]], Schedule]
    defaults: Mapping[str, Any]
    warmed: bool = True


def schedule_of(text: str, frame: Frame) -> Schedule:
    """The schedule a SPEC stands for; `UsageError` names what is wrong with it."""
    if text.lower().endswith(_FILES):
        return _from_file(Path(text), frame)
    name, _, rest = text.partition(":")
    return _build(name.strip(), _options(rest, text), frame, text)


def _options(rest: str, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"`{part}` is no KEY=VALUE.", where=text, hint="for example cosine:T_max=9500,warmup=500")
        options[key.strip()] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "e" not in text.lower() and "." not in text else number


def _from_file(path: Path, frame: Frame) -> Schedule:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            "The schedule could not be read.", where=str(path), why=str(error), hint="give a YAML or JSON file"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("family"), str):
        raise UsageError(
            "The file holds no schedule.", where=str(path), hint='it needs at least {"family": "CosineAnnealingLR"}'
        )
    options = dict(document.get("params") or {})
    peak = document.get("peak_lr")
    if peak is not None and not {"lr", "max_lr"} & set(options):
        options["lr"] = peak
    warmup = document.get("warmup")
    options["warmup"] = 0 if warmup is None else warmup.get("steps", 0)
    if warmup is not None:
        options["start_factor_of_warmup"] = warmup.get("start_factor", 0.0)
    if document.get("stepped") == "epoch":
        if not frame.steps_per_epoch:
            raise UsageError(
                "The schedule is stepped per epoch, and the run does not tell how long an epoch is.", where=str(path)
            )
        options["stepped"] = "epoch"
    return _build(document["family"], options, frame, str(path))


def _build(name: str, options: dict[str, Any], frame: Frame, where: str) -> Schedule:
    family = _find(name, where)
    warmup = options.pop("warmup", frame.warmup if family.warmed else 0)
    start_factor = options.pop("start_factor_of_warmup", 0.0)
    lr = options.pop("lr", options.get("max_lr", frame.peak_lr))
    every = frame.steps_per_epoch if options.pop("stepped", "update") == "epoch" else None
    for key in options:
        if key not in family.defaults:
            raise _unknown(key, ("lr", "warmup", *family.defaults), f"`{name}` has no option `{key}`.", where)
    _check_numbers({"lr": lr, "warmup": warmup}, where)
    if not lr > 0.0 or not 0 <= warmup < frame.steps:
        raise UsageError(
            f"lr must be positive and the warmup shorter than the run's {frame.steps} updates.", where=where
        )
    ticks = frame.steps - warmup if every is None else (frame.steps / every) - warmup
    values = {key: options.get(key, default) for key, default in family.defaults.items()}
    try:
        main = family.build(float(lr), max(round(ticks), 1), values)
        whole = Warmup(main, float(warmup), float(start_factor)) if warmup else main
        found: Schedule = whole if every is None else Stepped(whole, float(every), "epoch")
        probe = found.lr_at(np.arange(0, frame.steps, max(frame.steps // 1000, 1)))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise UsageError("The schedule cannot be built.", where=where, why=str(error)) from error
    if not np.isfinite(probe).all():
        raise UsageError("The schedule's learning rate is not a number everywhere.", where=where)
    return found


def _check_numbers(values: Mapping[str, Any], where: str) -> None:
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"{key} must be a number, not {value!r}.", where=where)


def _find(name: str, where: str) -> _Family:
    names = {_plain(known): family for known, family in _FAMILIES.items()}
    found = names.get(_plain(name))
    if found is None:
        raise _unknown(name, tuple(_FAMILIES), f"Unknown schedule `{name}`.", where)
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _unknown(name: str, known: tuple[str, ...], what: str, where: str) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(known)
    return UsageError(what, where=where, hint=hint)


def _cosine(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    return CosineAnnealingLR(lr, int(options["T_max"] or ticks), float(options["eta_min"]), clamped=True)


def _linear(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    end = options["end"] if options["end"] is not None else options["end_factor"]
    return LinearLR(lr, int(options["total_iters"] or ticks), float(options["start_factor"]), float(end))


def _wsd(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    """Constant, then a decay over the last `decay` (a part of the run if below 1, else updates) down to `end` x lr."""
    decay, end, shape = float(options["decay"]), float(options["end"]), options["shape"]
    length = round(decay * ticks) if decay <= 1.0 else round(decay)
    if not 0 < length <= ticks:
        raise ValueError(f"the decay takes {length} of {ticks} updates")
    if shape == "linear":
        fall: Schedule = LinearLR(lr, length, 1.0, end)
    elif shape == "cosine":
        fall = CosineAnnealingLR(lr, length, end * lr, clamped=True)
    elif shape == "sqrt":
        part = np.linspace(0.0, 1.0, _SQRT_POINTS)
        lrs = lr * (1.0 - (1.0 - end) * np.sqrt(part))
        fall = Unknown(tuple((part * length).tolist()), tuple(lrs.tolist()))
    else:
        raise ValueError(f"shape is linear, cosine or sqrt, not {shape}")
    return Sequence((Constant(lr), fall), (float(ticks - length),))


def _onecycle(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    known = {key: value for key, value in options.items() if key not in ("max_lr", "total_steps") and value is not None}
    return OneCycleLR(lr, int(options["total_steps"] or ticks), **known)


def _restarts(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    first = int(options["T_0"] or max(ticks // 3, 1))
    return CosineAnnealingWarmRestarts(lr, first, int(options["T_mult"]), float(options["eta_min"]))


def _steps(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    return StepLR(lr, int(options["step_size"] or max(ticks // 3, 1)), float(options["gamma"]))


def _polynomial(lr: float, ticks: int, options: Mapping[str, Any]) -> Schedule:
    return PolynomialLR(lr, int(options["total_iters"] or ticks), float(options["power"]))


_ONECYCLE = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
_BY_NAMES: tuple[tuple[tuple[str, ...], _Family], ...] = (
    (("constant", "Constant", "ConstantLR"), _Family(lambda lr, _, options: Constant(lr), {})),
    (("cosine", "CosineAnnealingLR"), _Family(_cosine, {"T_max": None, "eta_min": 0.0})),
    (
        ("linear", "LinearLR"),
        _Family(_linear, {"total_iters": None, "start_factor": 1.0, "end": None, "end_factor": 0.0}),
    ),
    (("wsd", "WarmupStableDecay"), _Family(_wsd, {"decay": 0.2, "end": 0.0, "shape": "linear"})),
    (("onecycle", "OneCycleLR"), _Family(_onecycle, dict.fromkeys(_ONECYCLE), warmed=False)),
    (("polynomial", "PolynomialLR"), _Family(_polynomial, {"total_iters": None, "power": 1.0})),
    (
        ("exponential", "ExponentialLR"),
        _Family(lambda lr, _, options: ExponentialLR(lr, float(options["gamma"])), {"gamma": 0.9999}),
    ),
    (("step", "StepLR"), _Family(_steps, {"step_size": None, "gamma": 0.1})),
    (
        ("MultiStepLR",),
        _Family(
            lambda lr, _, options: MultiStepLR(lr, tuple(options["milestones"]), float(options["gamma"])),
            {"milestones": (), "gamma": 0.1},
        ),
    ),
    (
        ("restarts", "CosineAnnealingWarmRestarts"),
        _Family(_restarts, {"T_0": None, "T_mult": 1, "eta_min": 0.0}),
    ),
)
_FAMILIES = {name: family for names, family in _BY_NAMES for name in names}

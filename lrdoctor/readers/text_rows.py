"""One line of a text log -> its counters and its named numbers, whatever tool printed it.

Every pattern is bounded: no line, however made, takes more than a fixed time a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lrdoctor.reconstruct.names import is_eval, lr_name, role_of

MAX_GROUPS = 64
_NUMBER = r"[-+]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20})(?:[eE][-+]?\d{1,4})?|[-+]?(?:nan|NaN|inf|Infinity)\b"
# A name, with the one word in front that can belong to it: "lm loss", "learning rate", "val acc".
_QUALIFIERS = (
    "train|training|val|valid|validation|eval|test|dev|lm|mlm|nsp|total|avg|average|mean|learning|grad|gradient"
    "|running|global|policy|value|disc|gen|d|g|moe"
)
_PAIR = re.compile(
    rf"(?<![\w.])(?P<key>(?:(?:{_QUALIFIERS})[ _])?[A-Za-z_][\w./@-]{{0,60}})['\"]?"
    rf"(?:\s{{0,4}}[:=]\s{{0,8}}|\s{{1,12}})(?:tensor\()?"
    rf"(?:(?P<list>[\[(](?P<inner>[^\[\]]{{1,2000}}))[\])]|['\"]?(?P<value>{_NUMBER})(?:\s{{0,2}}/\s{{0,6}}(?P<of>\d{{1,12}}))?)",
    re.IGNORECASE,
)
_IN_LIST = re.compile(rf"\(\s{{0,4}}({_NUMBER})[^()]{{0,200}}\)|({_NUMBER})")
_OUT_OF = re.compile(r"\s{0,8}(\d{1,12})\s{0,4}/\s{0,8}(\d{1,12})")
# Epoch: [3][ 10/391], Train: [0/300][10/1251], Epoch(train)   [1][10/345], Train: 0 [  50/1251 (  4%)]
_BRACKETS = re.compile(
    r"\b(?:train(?:ing)?(?: epoch)?|epoch)(?:\((?P<mode>\w{1,12})\))?\s{0,2}:?\s{0,4}"
    r"(?:\[\s{0,6}(?P<epoch>\d{1,9})(?:/\d{1,9})?\]|(?P<bare>\d{1,9}))[\s,]{0,4}"
    r"\[\s{0,10}(?P<at>\d{1,12})\s{0,3}/\s{0,10}(?P<of>\d{1,12})",
    re.IGNORECASE,
)
# 14%|#4   | 14034/100000 [20:48:36<125:52:47,  5.27s/it, loss=...
_BAR = re.compile(
    r"(?P<label>\bepochs?\W{0,12})?\d{1,3}%\|[^|]{0,300}\|\s{0,12}(?P<at>\d{1,12})/(?P<of>\d{1,12})\s"
    r"\[(?:[^\],]{0,60},[^\],]{0,20}?\b(?P<epochs>epochs?)\b)?",
    re.IGNORECASE,
)
# 100/1563 [=>......] - ETA: 1:00 - loss: 2.3
_KERAS_BAR = re.compile(r"\s{0,8}(?P<at>\d{1,12})/(?P<of>\d{1,12})\s\[?[=>.━╸ ]{3}")
_EPOCH_ALONE = re.compile(r"\W{0,12}epoch\W{0,4}(\d{1,9})\s{0,3}(?:/|of)\s{0,3}(\d{1,9})\W{0,12}", re.IGNORECASE)
_MAYBE = re.compile(r"lr|loss|learning.?rate", re.IGNORECASE)
TOTAL = "total_steps"
_STEPS = frozenset({"iter", "iteration", "step", "it", "global_step", "update", "train_step"})
_COUNTERS = frozenset(
    {
        "epoch", "step", "iter", "iteration", "it", "global_step", "global step", "update", "num_updates", "train_step",
        "training_step", "batch_idx", "micro_step", "n_iter", "current_steps", "total_timesteps",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """How far a progress bar is: `at` of `of`; `epochs` where it counts those."""

    at: int
    of: int
    epochs: bool = False


@dataclass(frozen=True, slots=True)
class Printed:
    """One line: its numbers by name, counters included, and the bar it is part of."""

    values: dict[str, float]
    bar: Bar | None = None


def epoch_alone(text: str) -> int | None:
    """The epoch, where a line says nothing else ("Epoch 3/50": Keras, before the lines of that epoch)."""
    found = _EPOCH_ALONE.fullmatch(text) if len(text) < 80 else None
    return int(found[1]) if found else None


def printed(text: str) -> Printed | None:
    """What a line of a training log says; None for any other line.

    Such a line names a learning rate or a loss beside a counter or a progress bar, or both of them.
    """
    if _MAYBE.search(text) is None:
        return None
    counters = dict(_bracketed(text))
    totals: dict[str, int] = {}
    measured: dict[str, float] = {}
    for key, values, of in _pairs(text):
        if _has_meaning(key):
            measured.update(_by_group(key, values))
        elif key.lower() in _COUNTERS and key.lower() not in map(str.lower, counters):
            counters[key] = values[0]
            totals.update({key.lower(): of} if of else {})
    bar = _bar(text)
    if bar is not None and bar.epochs:
        counters, bar = {"epoch": float(bar.at), **counters}, None
    if not any(map(_is_telling, measured)) or not (counters or bar or _has_both(measured)):
        return None
    measured.update(_total(counters, totals, bar))
    return Printed({**counters, **_by_mode(text, measured)}, bar)


def _total(counters: dict[str, float], totals: dict[str, int], bar: Bar | None) -> dict[str, float]:
    """How many steps the line says there will be; beside an epoch, a total is that of the epoch."""
    if any(name.lower() == "epoch" for name in counters):
        return {}
    total = next((of for name, of in totals.items() if name in _STEPS), bar.of if bar else None)
    return {} if total is None else {TOTAL: float(total)}


def _pairs(text: str) -> Iterator[tuple[str, list[float], int | None]]:
    """(name, numbers, what they are out of) of every named number or list of numbers."""
    for found in _PAIR.finditer(text):
        if found["inner"] is not None:
            out_of = _OUT_OF.fullmatch(found["inner"])
            if out_of is not None:
                yield found["key"], [float(out_of[1])], int(out_of[2])
                continue
            values = [float(one or two) for one, two in _IN_LIST.findall(found["inner"])][:MAX_GROUPS]
            if values:
                yield found["key"], values, None
        else:
            share = text[found.end("value") : found.end("value") + 1] == "%" and found["key"].lower() in _COUNTERS
            if not share:
                yield found["key"], [float(found["value"])], int(found["of"]) if found["of"] else None


def _bracketed(text: str) -> Iterator[tuple[str, float]]:
    found = _BRACKETS.search(text)
    if found is not None:
        yield "epoch", float(found["epoch"] or found["bare"])
        yield "iter", float(found["at"])


def _bar(text: str) -> Bar | None:
    found = _BAR.search(text)
    if found is not None:
        return Bar(int(found["at"]), int(found["of"]), bool(found["label"] or found["epochs"]))
    keras = _KERAS_BAR.match(text)
    return Bar(int(keras["at"]), int(keras["of"])) if keras else None


def _has_meaning(key: str) -> bool:
    return lr_name(key) is not None or role_of(key) is not None


def _is_telling(name: str) -> bool:
    return lr_name(name) is not None or (role_of(name) or "").endswith("-loss")


def _has_both(measured: dict[str, float]) -> bool:
    return any(lr_name(name) for name in measured) and any(lr_name(name) is None for name in measured)


def _by_group(key: str, values: list[float]) -> dict[str, float]:
    if len(values) == 1:
        return {key: values[0]}
    return {f"{key}[{index}]": value for index, value in enumerate(values)}


def _by_mode(text: str, measured: dict[str, float]) -> dict[str, float]:
    """mmengine's Epoch(val): what it measures is of held-out data."""
    found = _BRACKETS.search(text)
    if found is None or not found["mode"] or not is_eval(found["mode"]):
        return measured
    return {name if lr_name(name) else f"val/{name}": value for name, value in measured.items()}

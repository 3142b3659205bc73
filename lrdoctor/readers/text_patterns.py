"""The patterns of printed training logs: named numbers, counters in brackets, progress bars.

Every pattern is bounded: no line, however made, takes more than a fixed time a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_GROUPS = 64
_NUMBER = r"[-+]?(?:\d{1,20}+(?:\.\d{0,20}+)?|\.\d{1,20}+)(?:[eE][-+]?\d{1,4})?|[-+]?(?:[nN]a[nN]|[iI]nf(?:inity)?)\b"
_PAIR = re.compile(
    r"(?<![\w.])(?P<name>[A-Za-z_][\w./@-]{0,60}+)['\"]?(?:\s{0,4}[:=]\s{0,8}|\s{1,12})(?:tensor\()?"
    rf"(?:[\[(](?P<inner>[^\[\]]{{1,2000}})[\])]|['\"]?(?P<value>{_NUMBER})(?:\s{{0,2}}/\s{{0,6}}(?P<of>\d{{1,12}}))?)"
)
# The word in front that belongs to a name of two words, and the second words such names have: "lm loss".
_QUALIFIER = re.compile(
    r"(?<![\w.])(?:train|training|val|valid|validation|eval|test|dev|lm|mlm|nsp|total|avg|average|mean|learning|grad"
    r"|gradient|running|global|policy|value|disc|gen|d|g|moe) $",
    re.IGNORECASE,
)
_LONGEST_QUALIFIER = 12
_SECOND_WORDS = frozenset({"loss", "rate", "norm", "lr", "acc", "accuracy", "perplexity", "ppl", "step"})
_IN_LIST = re.compile(rf"\(\s{{0,4}}({_NUMBER})[^()]{{0,200}}\)|({_NUMBER})")
_OUT_OF = re.compile(r"\s{0,8}(\d{1,12})\s{0,4}/\s{0,8}(\d{1,12})")
# Epoch: [3][ 10/391], Train: [0/300][10/1251], Epoch(train)   [1][10/345], Train: 0 [  50/1251 (  4%)]
_BRACKETS = re.compile(
    r"\b(?:train(?:ing)?(?: epoch)?|epoch)(?:\((?P<mode>\w{1,12})\))?\s{0,2}:?\s{0,4}"
    r"(?:\[\s{0,6}(?P<epoch>\d{1,9})(?:/\d{1,9})?\]|(?P<bare>\d{1,9}))[\s,]{0,4}"
    r"\[\s{0,10}(?P<at>\d{1,12})\s{0,3}/\s{0,10}(?P<of>\d{1,12})"
)
# epoch 001:    450 / 1891 loss=11.5: fairseq
_EPOCH_AND_PLACE = re.compile(
    r"\bepoch\s{1,4}(?P<epoch>\d{1,9}):?\s{1,8}(?P<at>\d{1,12})\s?/\s?(?P<of>\d{1,12})\s{1,4}[a-z]"
)
# 14%|#4   | 14034/100000 [20:48:36<125:52:47,  5.27s/it, loss=...
_BAR = re.compile(
    r"(?P<label>\bepochs?\W{0,12})?\d{1,3}%\|[^|]{0,300}\|\s{0,12}(?P<at>\d{1,12})/(?P<of>\d{1,12})\s"
    r"\[(?:[^\],]{0,60},[^\],]{0,20}?\b(?P<epochs>epochs?)\b)?"
)
# 100/1563 [=>......] - ETA: 1:00 - loss: 2.3
_KERAS_BAR = re.compile(r"\s{0,8}(?P<at>\d{1,12})/(?P<of>\d{1,12})\s\[?[=>.━╸ ]{3}")
_EPOCH_ALONE = re.compile(r"\W{0,12}epoch\W{0,4}(\d{1,9})\s{0,3}(?:/|of)\s{0,3}(\d{1,9})\W{0,12}", re.IGNORECASE)
_LONGEST_ANNOUNCEMENT = 80


class Pair(NamedTuple):
    """A name, the numbers behind it, and the total they are out of ("10/500"). `is_share` marks a percentage."""

    name: str
    values: list[float]
    of: int | None
    is_share: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """How far a progress bar is: `at` of `of`; `epochs` where it counts those."""

    at: int
    of: int
    epochs: bool = False


class InEpoch(NamedTuple):
    """The epoch and the iteration in it, of `of`; `mode` is what mmengine says the epoch is for, "" elsewhere."""

    epoch: int
    iteration: int
    of: int
    mode: str


def epoch_alone(text: str) -> int | None:
    """The epoch, where a line says nothing else ("Epoch 3/50": Keras, before the lines of that epoch)."""
    found = _EPOCH_ALONE.fullmatch(text) if len(text) < _LONGEST_ANNOUNCEMENT else None
    return int(found[1]) if found else None


def pairs(text: str) -> Iterator[Pair]:
    """Every named number or list of numbers."""
    for found in _PAIR.finditer(text):
        name, inner, value, of = found.group("name", "inner", "value", "of")
        if name.lower() in _SECOND_WORDS:
            name = _qualified(text, found.start(), name)
        if inner is None:
            is_share = text[found.end("value") : found.end("value") + 1] == "%"
            yield Pair(name, [float(value)], int(of) if of else None, is_share)
        elif (out_of := _OUT_OF.fullmatch(inner)) is not None:
            yield Pair(name, [float(out_of[1])], int(out_of[2]), False)
        elif values := [float(one or two) for one, two in _IN_LIST.findall(inner)][:MAX_GROUPS]:
            yield Pair(name, values, None, False)


def _qualified(text: str, start: int, name: str) -> str:
    before = _QUALIFIER.search(text, max(0, start - _LONGEST_QUALIFIER), start)
    return f"{before[0]}{name}" if before else name


def in_epoch(lowered: str) -> InEpoch | None:
    """Counters in brackets behind the word epoch or train, or a place in the epoch right behind its number."""
    if "[" in lowered and ("epoch" in lowered or "train" in lowered):
        found = _BRACKETS.search(lowered)
        if found is not None:
            epoch = int(found["epoch"] or found["bare"])
            return InEpoch(epoch, int(found["at"]), int(found["of"]), found["mode"] or "")
    found = _EPOCH_AND_PLACE.search(lowered) if "epoch " in lowered else None
    return InEpoch(int(found["epoch"]), int(found["at"]), int(found["of"]), "") if found else None


def bar(lowered: str) -> Bar | None:
    """tqdm's or Keras's progress bar."""
    if "%|" in lowered:
        found = _BAR.search(lowered)
        if found is not None:
            return Bar(int(found["at"]), int(found["of"]), bool(found["label"] or found["epochs"]))
    keras = _KERAS_BAR.match(lowered)
    return Bar(int(keras["at"]), int(keras["of"])) if keras else None

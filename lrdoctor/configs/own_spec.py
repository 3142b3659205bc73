"""What is wrong in a `lrdoctor.yaml`, our own format: names that are none, and what a scheduler lacks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lrdoctor.configs.hf_schedules import FAMILIES
from lrdoctor.configs.torch_schedules import METRIC_DRIVEN, NAMES
from lrdoctor.configs.tree import Node
from lrdoctor.model.plan import Misread, Origin, Plan, Setting

_WARMUP = {"steps", "ratio", "start_factor"}


def unknown_keys(root: Node, paths: Iterable[str]) -> list[Misread]:
    """Keys that are none of ours, at the top and in `warmup`."""
    ramp, top = root.get("warmup"), {path.split(".")[0] for path in paths}
    named = [(f"{prefix}{key}", key, known)
             for prefix, node, known in (("", root, top), ("warmup.", ramp, _WARMUP))
             for key in (node.value if node is not None and node.is_mapping else ())]  # fmt: skip
    found = []
    for name, key, known in named:
        if key not in known and not key.startswith("//"):
            close = difflib.get_close_matches(key, known, n=1)
            cure = f"write `{close[0]}`" if close else f"use one of {', '.join(sorted(known))}"
            node = root.get(name)
            place = Origin("explicit", name, root.place_of(name))
            value = Setting(node.plain_value() if node is not None else None, place)
            found.append(Misread(value, "a schedule has no such key", cure, "refused"))
    return found


def no_scheduler(made: Plan) -> list[Misread]:
    """A scheduler's name that is none, or one without an argument it needs."""
    name = made.scheduler
    if name is None or name.value == METRIC_DRIVEN:
        return []
    known = (*NAMES, *FAMILIES)
    if name.value not in known:
        close = difflib.get_close_matches(name.value, known, n=1)
        cure = f"write `{close[0]}`" if close else "name a class of torch.optim.lr_scheduler"
        return [Misread(name, "there is no scheduler of that name", cure, "refused")]
    try:
        if made.make is not None:
            made.make(made.total.value or 1000.0)
    except LookupError as error:
        return [Misread(name, f"it needs {error.args[0]}", f"give `{error.args[0]}` beside the name", "refused")]
    except (ValueError, TypeError, ArithmeticError):
        return []
    return []

"""The figure of a run page: the LR chart, the loss chart on the same x-axis, and a strip with the findings' spans.

One plotly figure as plain JSON with one x-axis, so that zooming one panel moves the other and hovering reads both.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.chart_layout import Panels, layout
from lrdoctor.report.chart_loss import loss_layers
from lrdoctor.report.chart_lr import MAX_GROUPS, lr_layers
from lrdoctor.report.chart_marks import lane_traces, lanes, mark_labels, mark_shapes, marks, span_shapes
from lrdoctor.report.trace import Json, Key, Layer

_X_UNITS = {
    "update": "optimizer update",
    "epoch": "epoch",
    "sample": "sample",
    "env-step": "environment step",
    "row": "row of the log",
    "unknown": "step as logged",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """The figure and its legends. `figure` has plotly's `data` and `layout`; a panel without keys is not drawn."""

    figure: Json
    lr_keys: tuple[Key, ...]
    loss_keys: tuple[Key, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What the chart shows, for those who cannot see it."""
        shown = [f"learning rate ({', '.join(key.label for key in self.lr_keys)})"] if self.lr_keys else []
        shown += [f"loss ({', '.join(key.label for key in self.loss_keys)})"] if self.loss_keys else []
        return "Line chart of " + " and ".join(shown)


def chart(diagnosis: Diagnosis) -> Chart | None:
    """The figure of one run, or None where there is nothing to draw."""
    lr, loss = lr_layers(diagnosis), loss_layers(diagnosis)
    if not lr and not loss:
        return None
    rows = lanes(diagnosis.active) if lr else []
    data: list[Json] = []
    lr_keys, loss_keys = _add(data, lr), _add(data, loss)
    steps = diagnosis.trajectory.steps
    data += lane_traces(rows, steps)
    panels = Panels(len(rows), bool(lr), bool(loss))
    found = marks(diagnosis)
    figure_layout = layout(panels, _X_UNITS[diagnosis.trajectory.step_unit], steps, [code for code, _ in rows])
    figure_layout["shapes"] = span_shapes(diagnosis.active, steps) + mark_shapes(found)
    figure_layout["annotations"] = mark_labels(found, panels.label_height, steps)
    return Chart({"data": data, "layout": figure_layout}, lr_keys, loss_keys, _notes(diagnosis))


def _add(data: list[Json], layers: tuple[Layer, ...]) -> tuple[Key, ...]:
    """Append the layers' traces, bottom first; their legend entries come back by rank."""
    keys = []
    for layer in layers:
        start = len(data)
        data.extend(layer.traces)
        traces = tuple(range(start, len(data)))
        keys.append((layer.rank, Key(layer.label, layer.style.colour, layer.swatch, traces, layer.style.shown)))
    return tuple(key for _, key in sorted(keys, key=lambda pair: pair[0]))


def _notes(diagnosis: Diagnosis) -> tuple[str, ...]:
    hidden = len(diagnosis.trajectory.groups) - 1 - MAX_GROUPS
    return (f"{hidden} more parameter groups are not drawn.",) if hidden > 0 else ()

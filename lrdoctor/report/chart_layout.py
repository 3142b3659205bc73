"""Where the panels stand: heights in pixels, from which plotly's axis domains follow, and the axes themselves."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.report.clean import chart_text
from lrdoctor.report.trace import Json

LANE_HEIGHT = 20
LANE_GAP = 8
LR_HEIGHT = 300
LOSS_HEIGHT = 240
GAP = 40
MARGIN = {"l": 66, "r": 14, "t": 22, "b": 46}
_BESIDE = 0.012  # empty share of the run at either end, so that the first and last points are seen whole


@dataclass(frozen=True, slots=True)
class Panels:
    """Which panels there are: `lanes` rows of findings above the LR, the LR above the loss."""

    lanes: int
    has_lr: bool
    has_loss: bool

    @property
    def area(self) -> int:
        """Height of all panels together, in pixels."""
        return self.above + self.lr + self.gap + self.loss

    @property
    def above(self) -> int:
        return self.lanes * LANE_HEIGHT + LANE_GAP if self.lanes else 0

    @property
    def lr(self) -> int:
        return LR_HEIGHT if self.has_lr else 0

    @property
    def loss(self) -> int:
        return LOSS_HEIGHT if self.has_loss else 0

    @property
    def gap(self) -> int:
        return GAP if self.has_lr and self.has_loss else 0

    @property
    def label_height(self) -> float:
        """Where the marks' labels stand, as a share of the area: between the panels, or above a single one."""
        return round((self.loss + self.gap / 2) / self.area, 5) if self.gap else 1.0 + 10 / self.area

    def domain(self, bottom: int, height: int) -> list[float]:
        return [round(bottom / self.area, 5), round(min((bottom + height) / self.area, 1.0), 5)]


def layout(panels: Panels, unit: str, steps: int, codes: list[str]) -> Json:
    """The figure's layout without its marks. `unit` names the x-axis, `codes` the lanes from the top."""
    axes: Json = {"xaxis": _x_axis("y2" if panels.has_loss else "y", steps, unit)}
    if panels.has_lr:
        axes["yaxis"] = _y_axis(panels.domain(panels.loss + panels.gap, panels.lr), "learning rate") | {
            "zeroline": True
        }
    if panels.has_loss:
        axes["yaxis2"] = _y_axis(panels.domain(0, panels.loss), "loss")
    if panels.lanes:
        axes["yaxis3"] = _lane_axis(
            panels.domain(panels.area - panels.above + LANE_GAP, panels.above - LANE_GAP), codes
        )
    return _frame(panels) | axes


def _frame(panels: Panels) -> Json:
    return {
        "autosize": True,
        "height": panels.area + MARGIN["t"] + MARGIN["b"],
        "margin": MARGIN,
        "paper_bgcolor": "@surface",
        "plot_bgcolor": "@surface",
        "font": {"family": "@font", "size": 12, "color": "@muted"},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {
            "bgcolor": "@raised",
            "bordercolor": "@line",
            "font": {"color": "@ink", "size": 12},
            "namelength": 32,
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@muted", "activecolor": "@accent"},
        "dragmode": "zoom",
        "showlegend": False,
        "uirevision": "keep",
    }


def _x_axis(anchor: str, steps: int, title: str) -> Json:
    return {
        "anchor": anchor,
        "range": [-_BESIDE * max(steps, 1), (1.0 + _BESIDE) * max(steps, 1)],
        "gridcolor": "@grid",
        "linecolor": "@line",
        "zeroline": False,
        "tickformat": ",",
        "title": {"text": title, "standoff": 8},
        "automargin": False,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikecolor": "@muted",
        "spikedash": "dot",
    }


def _y_axis(domain: list[float], title: str) -> Json:
    return {
        "domain": domain,
        "anchor": "x",
        "gridcolor": "@grid",
        "linecolor": "@line",
        "zeroline": False,
        "zerolinecolor": "@line",
        "exponentformat": "e",
        "hoverformat": ".4~g",
        "title": {"text": title, "standoff": 6},
        "automargin": False,
        "nticks": 7,
    }


def _lane_axis(domain: list[float], codes: list[str]) -> Json:
    return {
        "domain": domain,
        "anchor": "x",
        "tickvals": list(range(len(codes))),
        "ticktext": [chart_text(code) for code in codes],
        "range": [len(codes) - 0.5, -0.5],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "showline": False,
        "tickfont": {"size": 11, "color": "@ink"},
    }

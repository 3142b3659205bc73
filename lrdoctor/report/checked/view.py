"""What the page of a check shows, as data: frozen, ready to print, numbers already formatted. No HTML here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Plan, Setting
from lrdoctor.report import numbers as fmt
from lrdoctor.report.checked.curves import drawn
from lrdoctor.report.checked.words import headline, open_questions, plan_words
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown
from lrdoctor.report.printable import printable
from lrdoctor.report.rule_text import Block, blocks
from lrdoctor.report.spark_path import points
from lrdoctor.report.words import UNIT_NAMES

CURVE_SIZE = (640, 150)


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of two SVG polylines on one scale, and what stands at its corners; `before` is empty without a base."""

    now: str
    before: str
    top: str
    end: str
    size: tuple[int, int] = CURVE_SIZE


@dataclass(frozen=True, slots=True)
class Card:
    """One finding."""

    code: str
    name: str
    severity: str
    where: str
    line: str
    message: str
    cure: str
    why: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting: its name with us, its value, where it comes from."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class ConfigView:
    """One config, top to bottom."""

    path: str
    plan: str
    note: str
    curve: Curve | None
    cards: tuple[Card, ...]
    settings: tuple[SettingRow, ...]
    assumptions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CheckPage:
    """The whole page."""

    headline: str
    configs: tuple[ConfigView, ...]
    skipped: tuple[tuple[str, str], ...]


def check_page(checked: Checked, pages: Pages) -> CheckPage:
    """The view of a check, configs with findings first."""
    ranked = sorted(checked.configs, key=lambda one: (not one.active, one.path))
    return CheckPage(
        headline(checked),
        tuple(_config(one, pages) for one in ranked),
        tuple((printable(shown(item.path)), printable(item.reason)) for item in checked.skipped),
    )


def _config(one: CheckedConfig, pages: Pages) -> ConfigView:
    plan = one.plan
    note = open_questions(one) or (
        f"no schedule was computed: {plan.unmade}" if plan is not None and plan.unmade else ""
    )
    return ConfigView(
        path=printable(shown(one.path)),
        plan=printable(plan_words(plan)) if plan is not None else "It cannot be read.",
        note=printable(note),
        curve=_curve(plan, one.base) if plan is not None else None,
        cards=tuple(_card(one, finding, pages) for finding in one.active),
        settings=tuple(_settings(plan)) if plan is not None else (),
        assumptions=tuple((printable(name), printable(value)) for name, value in plan.assumptions) if plan else (),
    )


def _curve(plan: Plan, base: Plan | None) -> Curve | None:
    now, then = drawn(plan), drawn(base) if base is not None else None
    if now is None or not np.isfinite(now[1]).all():
        return None
    top = max(float(curve[1].max()) for curve in (now, then) if curve is not None)
    top = max(top, plan.lr.value if plan.lr is not None else 0.0)  # a peak that is never reached is to be seen
    if top <= 0:
        return None
    span = (0.0, max(float(curve[0][-1]) for curve in (now, then) if curve is not None))
    unit = UNIT_NAMES[plan.unit][1]
    end = f"{fmt.count(plan.total.value)} {unit}" if plan.total.known else "the end of the run"
    before = points(*then, span, top, CURVE_SIZE) if then is not None else ""
    return Curve(points(*now, span, top, CURVE_SIZE), before, fmt.lr(top), end)


def _card(one: CheckedConfig, finding: Finding, pages: Pages) -> Card:
    place, page = finding.place or Place(one.path), pages.get(finding.code)
    here = place.path == one.path and 0 < place.line <= len(one.lines)
    return Card(
        code=finding.code,
        name=finding.name,
        severity=finding.severity or "info",
        where=printable(f"{shown(place.path)}:{place.line}:{place.column}"),
        line=printable(one.lines[place.line - 1].strip()) if here else "",
        message=printable(finding.message),
        cure=printable(finding.remedy.summary) if finding.remedy is not None else "",
        why=blocks(page.why) if page is not None else (),
    )


def _settings(plan: Plan) -> list[SettingRow]:
    named: list[tuple[str, Setting[Any] | None]] = [
        ("learning rate", plan.lr),
        ("scheduler", plan.scheduler),
        ("optimizer", plan.optimizer),
        ("length", plan.length),
        ("warmup", plan.warmup.asked if plan.warmup is not None else None),
        ("schedule length", plan.horizon),
        ("batch per device", plan.batch.per_device),
        ("accumulation", plan.batch.accumulation),
        ("batch", plan.batch.whole),
    ]
    return [SettingRow(name, printable(_shown(one.value)), _origin(one)) for name, one in named if one is not None]


def _shown(value: object) -> str:
    return fmt.lr(value) if isinstance(value, float) and 0 < value < 1 else fmt.value(value)


def _origin(setting: Setting[Any]) -> str:
    place, origin = setting.place, setting.origin
    where = f"{setting.key}, line {place.line}" if place is not None else setting.key
    told = "; ".join(part for part in (where, origin.note) if part)
    return printable(told)

"""Configs as text -> their plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lrdoctor import synth
from lrdoctor.model.plan import Broken, Plan
from lrdoctor.testing import examine_config

PlanOf = Callable[..., Plan]


@pytest.fixture
def plan_of() -> PlanOf:
    """`plan_of(text, name, ...)`: the plan of a config; further arguments are those of `synth.config`."""

    def plan(text: str, name: str = "train.yaml", **settings: object) -> Plan:
        evidence = examine_config(synth.config(text, name, **settings))  # type: ignore[arg-type]
        assert evidence.plan is not None, evidence.broken
        return evidence.plan

    return plan


@pytest.fixture
def broken_of() -> Callable[..., Broken]:
    def broken(text: str, name: str, beside: Mapping[str, str] | None = None) -> Broken:
        evidence = examine_config(synth.config(text, name, beside=beside))
        assert evidence.broken is not None
        return evidence.broken

    return broken

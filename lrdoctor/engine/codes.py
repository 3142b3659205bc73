"""The permanent codes of the output contract: name and default severity. A code is never reused or renamed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lrdoctor.model.finding import Severity


class Code(NamedTuple):
    name: str
    severity: Severity


CODES: Mapping[str, Code] = MappingProxyType({
    "LR101": Code("onecycle-stepped-per-epoch", "error"),
    "LR102": Code("scheduler-outpaces-optimizer", "error"),
    "LR103": Code("scheduler-ahead-of-skipped-updates", "info"),
    "LR104": Code("scheduler-before-optimizer", "warning"),
    "LR105": Code("scheduler-has-no-effect", "error"),
    "LR106": Code("schedule-resets-each-epoch", "error"),
    "LR107": Code("warmup-unit-mismatch", "error"),
    "LR108": Code("scheduler-optimizer-detached", "error"),
    "LR109": Code("coarse-schedule", "info"),
    "LR201": Code("scheduler-state-missing", "error"),
    "LR202": Code("optimizer-state-missing", "error"),
    "LR203": Code("horizon-changed-on-resume", "warning"),
    "LR204": Code("warmup-overshoot-on-resume", "error"),
    "LR301": Code("schedule-exhausted", "error"),
    "LR302": Code("cosine-climbs-past-horizon", "error"),
    "LR303": Code("horizon-never-reached", "warning"),
    "LR304": Code("decay-collapses-lr", "error"),
    "LR305": Code("restart-ends-mid-cycle", "warning"),
    "LR306": Code("lr-ends-too-high", "info"),
    "LR307": Code("schedule-join-discontinuity", "warning"),
    "LR308": Code("constant-lr", "info"),
    "LR309": Code("snapshot-off-cycle", "info"),
    "LR401": Code("lr-not-scaled-for-batch", "warning"),
    "LR402": Code("configured-lr-overridden", "warning"),
    "LR403": Code("lr-not-physical", "error"),
    "LR404": Code("param-groups-disagree", "warning"),
    "LR405": Code("momentum-not-cycled", "info"),
    "LR501": Code("no-warmup", "warning"),
    "LR502": Code("warmup-length-out-of-range", "warning"),
    "LR503": Code("loss-spike-at-milestone", "warning"),
    "LR504": Code("divergence-near-peak-lr", "error"),
    "LR505": Code("peak-above-range-test", "warning"),
    "LR601": Code("plateau-wrong-signal", "error"),
    "LR602": Code("plateau-ineffective", "warning"),
    "LR900": Code("config-unreadable", "error"),
    "LR901": Code("lr-not-observable", "info"),
    "LR902": Code("config-key-ignored", "warning"),
})  # fmt: skip

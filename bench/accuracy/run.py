"""How often lrdoctor is right: schedules recognised, faults named, healthy runs blamed. The labels are known by making.

    python bench/accuracy/run.py [--trajectories 2000] [--draws 20] [--seed 27182] [--jobs 2] [--write docs/accuracy.md]

Trajectories are executed by the schedulers of torch, Transformers, timm and mmengine and logged in one of five forms,
at one of four cadences. Runs are small real trainings with a fault planted, each with a healthy twin of one draw.
Seeds below 10,000 were used while developing; the published table is made with the default seed, which was not.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from faults import FAULTS
from identified import Outcome, outcomes
from planted import Verdict, verdicts

from lrdoctor.engine.codes import CODES

HEAD = """# How often it is right

Made by `make accuracy`. The labels are known because every schedule was executed, and every fault planted, by the
script; the schedulers are torch's, Transformers', timm's and mmengine's own. Another seed was used while developing.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=20, help="of each fault and of its healthy twin")
    parser.add_argument("--seed", type=int, default=27182)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    read = list(outcomes(given.trajectories, given.seed, given.jobs))
    told = list(verdicts(given.draws, given.seed + 1_000_000, given.jobs))
    text = "\n".join([HEAD, _schedules(read), _faults(told), _alarms(read, told)])
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


def _schedules(read: Sequence[Outcome]) -> str:
    lines = [
        f"## Schedules: {len(read):,} executed trajectories",
        "",
        "| family | trajectories | recognised | exact to the log's rounding | error of the parameters: median, 95th "
        "percentile, exact ones | read as something else |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    by_family: dict[str, list[Outcome]] = defaultdict(list)
    for one in read:
        by_family[one.truth.family].append(one)
    for family, found in by_family.items():
        lines.append(_family_row(family, found))
    right = [one for one in read if one.family == one.truth.family]
    sure_wrong = sum(one.sure and one.family != one.truth.family for one in read)
    errors = _errors([one for one in right if one.errors])
    sharp = _errors([one for one in right if one.exact])
    lines += [
        "",
        f"Family right: {len(right) / len(read):.1%}.",
        f"Wrong family stated with confidence: {sure_wrong / len(read):.1%}.",
        f"Parameter error, 95th percentile: {_figure(errors, 95)} (exact forms {_figure(sharp, 95)}).",
        "",
    ]
    return "\n".join(lines)


def _family_row(family: str, found: Sequence[Outcome]) -> str:
    right = [one for one in found if one.family == family]
    others = Counter(one.family for one in found if one.family != family)
    exact = sum(one.exact for one in right)
    wrong = ", ".join(f"{name} {count}" for name, count in others.most_common()) or "-"
    errors, sharp = _errors(right), _errors([one for one in right if one.exact])
    figures = f"{_figure(errors, 50)}, {_figure(errors, 95)}, {_figure(sharp, 95)}"
    return f"| {family} | {len(found)} | {len(right) / len(found):.1%} | {exact} | {figures} | {wrong} |"


def _errors(found: Sequence[Outcome]) -> list[float]:
    """The worst number of each trajectory."""
    return [max(one.errors.values()) for one in found if one.errors]


def _figure(errors: Sequence[float], percentile: float) -> str:
    return f"{float(np.percentile(errors, percentile, method='higher')):.1e}" if errors else "-"


def _faults(told: Sequence[Verdict]) -> str:
    lines = [
        f"## Faults: {len(told):,} runs, half of them healthy twins",
        "",
        "| rule | severity | planted | named | recall | precision | other errors or warnings on these runs "
        "| blamed twins |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, fault in FAULTS.items():
        faulty = [one for one in told if one.fault == name and one.faulty]
        twins = [one for one in told if one.fault == name and not one.faulty]
        named = sum(one.named for one in faulty)
        beside = Counter(code for one in faulty for code in one.alarms)
        blamed = Counter(code for one in twins for code in one.alarms)
        lines.append(
            f"| {fault.code} {CODES[fault.code].name} | {CODES[fault.code].severity} | {len(faulty)} | {named} "
            f"| {named / max(len(faulty), 1):.0%} | {_precision(fault.code, told)} | {_counts(beside)} "
            f"| {_counts(blamed)} |"
        )
    return "\n".join([*lines, ""])


def _precision(code: str, told: Sequence[Verdict]) -> str:
    """The share of the runs a rule was named on in which it was planted, or is a fair name for what was."""
    named = [one for one in told if code in one.found]
    right = [one for one in named if one.faulty and code in (FAULTS[one.fault].code, *FAULTS[one.fault].also)]
    return f"{len(right) / len(named):.0%}" if named else "-"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(counter.items())) or "-"


def _alarms(read: Sequence[Outcome], told: Sequence[Verdict]) -> str:
    """Healthy runs are the twins, and the trajectories of plain schedules."""
    twins = [one for one in told if not one.faulty]
    plain = [one for one in read if one.truth.complete and one.truth.family not in ("Unknown", "RangeTest")]
    blamed = sum(bool(one.alarms) for one in twins)
    alarmed = Counter(code for one in plain for code in set(one.alarms))
    runs = len(twins) + len(plain)
    false = blamed + sum(bool(one.alarms) for one in plain)
    return "\n".join(
        [
            "## False alarms",
            "",
            f"An error or a warning on {false} of {runs:,} healthy runs: {100 * false / max(runs, 1):.2f} per 100 "
            f"({blamed} of {len(twins)} twins, {sum(alarmed.values())} of {len(plain)} plain schedules"
            f"{': ' + _counts(alarmed) if alarmed else ''}).",
            "",
        ]
    )


if __name__ == "__main__":
    main()

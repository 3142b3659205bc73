"""The warmup is given in one unit and read in another.

## What it does
Looks at training configs for a share of the run where the framework reads a number of updates (`warmup_steps: 0.1`),
and for a number of updates or of percent where it reads a share (`warmup_ratio: 10`).

## Why is this bad?
A share of 0.1 read as updates is no warmup at all, or stops the training at its start; which of the two depends on the
framework and its version. A number of updates read as a share is a warmup of many times the run, which frameworks
refuse or, worse, take.

## How to fix it
Use the key of the unit that is meant: `warmup_ratio` for a share (from transformers 5 on, `warmup_steps` below 1 is a
share too), `warmup_steps` for updates.

## References
- huggingface/transformers, training_args.py: `get_warmup_steps` of version 4 and of version 5
- axolotl-ai-cloud/axolotl, utils/schemas/training.py: `warmup_steps` is a whole number
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor import Case, Finding, Plan, config_finding, rule, synth


def _axolotl(warmup: str) -> synth.ConfigSpec:
    return synth.config(f"""
        base_model: some/model
        datasets: []
        micro_batch_size: 4
        max_steps: 500
        learning_rate: 1.0e-4
        {warmup}
    """)


def _trainer(warmup: str, version: str) -> synth.ConfigSpec:
    text = f"""
        learning_rate: 2.0e-05
        per_device_train_batch_size: 8
        max_steps: 500
        {warmup}
    """
    return synth.config(text, versions={"transformers": version})


CASES = (
    Case("axolotl with a tenth of a step", _axolotl("warmup_steps: 0.1"), fires=True,
         cured=_axolotl("warmup_ratio: 0.1")),
    Case("transformers 4.57 with a tenth of a step", _trainer("warmup_steps: 0.1", "4.57"), fires=True,
         cured=_trainer("warmup_ratio: 0.1", "4.57")),
    Case("a ratio of 10", _trainer("warmup_ratio: 10", "4.57"), fires=True,
         cured=_trainer("warmup_ratio: 0.1", "4.57")),
    Case("transformers 5, which reads a share below 1", _trainer("warmup_steps: 0.1", "5.23")),
    Case("a whole number of steps", _axolotl("warmup_steps: 10")),
    Case("a ratio of exactly 1", _trainer("warmup_ratio: 1.0", "4.57")),
)  # fmt: skip


@rule("LR107", suppresses=("LR502",))
def warmup_unit_mismatch(config: Plan) -> Iterator[Finding]:
    for item in config.misread:
        if item.about == "unit":
            yield config_finding(
                config,
                item.setting,
                f"{item.setting.key} is {item.setting.value:g}: {item.why}.",
                "The value looks like a share of the run.",
                "The training fails to start, or starts without a warmup.",
                f"{item.cure[:1].upper()}{item.cure[1:]}.",
                evidence={"value": item.setting.value},
            )
    warmup = config.warmup
    if warmup is not None and warmup.asked is not None and warmup.fraction is not None and warmup.fraction > 1.0:
        yield config_finding(
            config,
            warmup.asked,
            f"{warmup.asked.key} is {warmup.asked.value:g}, and it is read as a share of the run.",
            "A share lies between 0 and 1.",
            "The training refuses to start, or never leaves its warmup.",
            "Write a share below 1, or use the key for a number of updates.",
            evidence={"value": warmup.fraction},
        )

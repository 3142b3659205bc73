"""A setting of the config has no effect on the learning rate.

## What it does
Reports keys that are there and do nothing, by a table for each framework: a warmup for a scheduler that has none, a
horizon that another key overrides, a name the framework does not know, a key that the installed version has dropped.
The message names what holds instead.

## Why is this bad?
Whoever reads the config believes it. The run trains with another schedule than the one that was reviewed, and a sweep
over the key compares equal runs.

## How to fix it
Write what the message proposes, or delete the key. Where two keys say the same thing, keep the one that is used.

## Options
- `both`: also report, as information, a pair of keys of which one is knowingly left unused (`max_steps` beside epochs).

## References
- huggingface/transformers, training_args.py and optimization.py: `constant` has no warmup, `max_steps` wins
- deepspeedai/DeepSpeed, runtime/lr_schedules.py; ultralytics/ultralytics#8400: `optimizer: auto` ignores lr0
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor import Case, Finding, Ignored, Plan, config_finding, rule, synth

TRAINER = """
    learning_rate: 2.0e-05
    per_device_train_batch_size: 8
    lr_scheduler_type: {scheduler}
    {warmup}
    num_train_epochs: 3
"""


def _config(scheduler: str, warmup: str, version: str = "4.57") -> synth.ConfigSpec:
    return synth.config(TRAINER.format(scheduler=scheduler, warmup=warmup), versions={"transformers": version})


CASES = (
    Case("a warmup for the scheduler `constant`", _config("constant", "warmup_ratio: 0.1"), fires=True,
         cured=_config("constant_with_warmup", "warmup_ratio: 0.1")),
    Case("warmup_steps beside warmup_ratio", _config("cosine", "warmup_steps: 10\n    warmup_ratio: 0.1"), fires=True,
         cured=_config("cosine", "warmup_steps: 10")),
    Case("warmup_ratio under a version that has dropped it", _config("cosine", "warmup_ratio: 0.1", "5.23"),
         fires=True, cured=_config("cosine", "warmup_steps: 0.1", "5.23")),
    Case("a key by another trainer's name", _config("null", "lr_scheduler: cosine"), fires=True,
         cured=_config("cosine", "warmup_steps: 10")),
    Case("everything is used", _config("cosine", "warmup_ratio: 0.1")),
    Case("warmup_ratio under a version that has it", _config("linear", "warmup_ratio: 0.1", "5.14")),
)  # fmt: skip


@rule("LR902")
def config_key_ignored(config: Plan, *, both: bool = True) -> Iterator[Finding]:
    for item in config.ignored:
        if item.about != "override" and (both or item.severity != "info"):
            yield _finding(config, item)


def _finding(config: Plan, item: Ignored) -> Finding:
    setting, instead = item.setting, item.instead
    removed = item.about == "removed"
    return config_finding(
        config,
        setting,
        f"{_line(item)}{setting.key} is set to {_shown(setting.value)}, and {item.why}.",
        "A key that is set should decide something."
        if instead is None
        else f"What counts is {instead.key} = {_shown(instead.value)}.",
        "The training refuses to start." if removed else "The schedule is not the one the config seems to ask for.",
        f"{item.cure[:1].upper()}{item.cure[1:]}.",
        evidence={"key": setting.key, "value": _shown(setting.value), "instead": instead.key if instead else None},
        severity=item.severity,
    )


def _line(item: Ignored) -> str:
    return f"Line {item.setting.place.line}: " if item.setting.place is not None else ""


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

"""The config cannot be read as the training will read it.

## What it does
Reports a training config whose file cannot be parsed, with the place the parser stopped at, and settings whose value
the framework's loader reads as something else than it looks: a number that is a string to PyYAML, as `1e-8` without a
point is. (A learning rate that is a string is LR403.) Also settings the framework stops at: a scheduler it does not
have, or one without the argument it needs.

## Why is this bad?
The training does not start, or starts with a default in place of what was written. Nothing else can be said about a
file that cannot be parsed, so it would pass every other check.

## How to fix it
Repair the place that is shown. In JSON: `true` for `True`, no comma after the last entry, strings in double quotes. In
YAML write numbers with an exponent with a point and a sign: `1.0e-8`.

## References
- YAML 1.1, section "Floating-Point Language-Independent Type"; PyYAML follows it, YAML 1.2 parsers do not
- RFC 8259, the JSON data interchange format
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor import Broken, Case, Finding, Plan, Remedy, config_finding, rule, synth

READABLE = '{"train_micro_batch_size_per_gpu": 8, "optimizer": {"type": "AdamW", "params": {"lr": 1e-4}}}'
TRAINER = """
    learning_rate: 2.0e-05
    per_device_train_batch_size: 8
    num_train_epochs: 3
    optim_args: 'eps=1e-8'
"""
NAMED = "    lr_scheduler_type"
OTHERWISE = "The training fails to start, or uses something else than what was written."
CASES = (
    Case("a comma after the last entry of a JSON object",
         synth.config(READABLE.replace("1e-4", "1e-4,"), "ds_config.json"), fires=True,
         cured=synth.config(READABLE, "ds_config.json")),
    Case("a Python literal in JSON", synth.config('{"train_batch_size": 8, "fp16": {"enabled": True}}', "ds.json"),
         fires=True, cured=synth.config('{"train_batch_size": 8, "optimizer": {"params": {"lr": 0.1}}}', "ds.json")),
    Case("a YAML mapping that is not closed", synth.config("learning_rate: {a: 1\nnum_train_epochs: 3"), fires=True,
         cured=synth.config(TRAINER)),
    Case("a number of epochs in quotes", synth.config(TRAINER.replace(": 3", ': "3"')), fires=True,
         cured=synth.config(TRAINER)),
    Case("a scheduler that is none", synth.config(f"{TRAINER}{NAMED}: cosin"), fires=True,
         cured=synth.config(f"{TRAINER}{NAMED}: cosine")),
    Case("a scheduler without the argument it needs", synth.config(f"{TRAINER}{NAMED}: cosine_with_min_lr"),
         fires=True, cured=synth.config(f"{TRAINER}    lr_scheduler_kwargs: {{min_lr_rate: 0.1}}\n"
                                        f"{NAMED}: cosine_with_min_lr")),
    Case("a readable config", synth.config(TRAINER)),
)  # fmt: skip


@rule("LR900")
def config_unreadable(config: Plan | None, broken: Broken | None) -> Iterator[Finding]:
    if broken is not None:
        yield _unparsed(broken)
    for item in config.misread if config is not None else ():
        if config is not None and item.about in ("value", "refused"):
            refused, place = item.about == "refused", item.setting.place
            where = f"Line {place.line}: " if refused and place is not None else ""
            yield config_finding(
                config,
                item.setting,
                f"{where}{item.setting.key} is {item.setting.value!r}: {item.why}.",
                "What reads a config has to accept it." if refused else "A number is expected there.",
                "Nothing can be trained with it as it is." if refused else OTHERWISE,
                f"{item.cure[:1].upper()}{item.cure[1:]}.",
                evidence={"value": str(item.setting.value)},
            )


def _unparsed(broken: Broken) -> Finding:
    return Finding(
        measured=f"The file cannot be parsed: {broken.problem} (line {broken.place.line}).",
        expected="A config has to be readable before anything can be trained with it.",
        consequence="The training does not start, and nothing else in the file was checked.",
        first_step=0.0,
        last_step=0.0,
        evidence={"line": broken.place.line, "column": broken.place.column, "problem": broken.problem},
        remedy=Remedy(f"{broken.cure[:1].upper()}{broken.cure[1:]}."),
        place=broken.place,
    )

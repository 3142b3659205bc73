"""What is recommended, from which facts, and that every number comes with its range and its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.recommend.advise import advise
from lrdoctor.recommend.facts import Facts, facts_of
from lrdoctor.recommend.guide import GUIDE, guideline_for
from lrdoctor.recommend.scaling import Range, scaled_to
from lrdoctor.schedules import CosineAnnealingLR, LinearLR, MultiStepLR, Warmup
from lrdoctor.testing import examine

LORA = Facts("a", optimizer="adamw_torch", model="llama-7b", task="adapter", steps=1000, batch_size=16)
GPT = Facts("a", optimizer="AdamW", model="gpt2", task="scratch", steps=100_000, beta2=0.95)
RESNET = Facts(
    "a", optimizer="SGD", model="resnet50", task="scratch", steps=90 * 5000, steps_per_epoch=5000, batch_size=256
)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (LORA, "an adapter (LoRA) on a pretrained model"),
        (replace(LORA, task="finetune", model="bert-base-uncased"), "fine-tuning a pretrained language model"),
        (GPT, "a language model from scratch"),
        (replace(GPT, model="vit_base_patch16_224"), "a vision transformer from scratch"),
        (replace(GPT, model="fasterrcnn_resnet50_fpn", optimizer="sgd"), "a detector on a pretrained backbone"),
        (RESNET, "a convolutional network from scratch"),
        (replace(RESNET, optimizer="Lion"), "a training of a kind that the guide has no recipe for"),
        (replace(RESNET, task=None), "a training of a kind that the guide has no recipe for"),
    ],
)
def test_the_recipe_is_the_one_for_the_kind_of_training(facts: Facts, name: str) -> None:
    assert guideline_for(facts).name == name


def test_every_recipe_names_a_source_and_starts_inside_its_range() -> None:
    for guide in GUIDE:
        assert any(reason.source for reason in guide.reasons), guide.name
        assert guide.peak is not None
        assert guide.peak.low <= guide.peak.start <= guide.peak.high


def test_without_a_peak_of_its_own_a_run_gets_the_recipes() -> None:
    advice = advise(LORA)
    assert advice.peak == Range(1e-4, 3e-4, 2e-4)
    assert (advice.warmup_steps, advice.horizon_steps) == (30, 1000)
    assert advice.schedule == Warmup(LinearLR(2e-4, 970), 30, 0.01)


def test_a_recipe_is_scaled_to_the_batch_of_the_run() -> None:
    advice = advise(replace(RESNET, batch_size=1024, steps_per_epoch=1250, steps=90 * 1250))
    assert advice.peak == Range(pytest.approx(0.2), pytest.approx(0.4), pytest.approx(0.4))  # type: ignore[arg-type]
    assert advice.warmup_steps == 5 * 1250


def test_a_peak_that_worked_is_the_middle_of_the_search() -> None:
    advice = advise(replace(GPT, peak_lr=4e-4, peak_from="the executed learning rate"))
    assert advice.peak == Range(2e-4, 8e-4, 4e-4)
    assert any("own peak is 0.0004" in reason.text for reason in advice.reasons)


def test_a_peak_far_from_the_recipe_is_told() -> None:
    told = [reason.text for reason in advise(replace(GPT, peak_lr=5e-3)).reasons]
    assert any("lies above" in text for text in told)
    assert not any("lies above" in reason.text for reason in advise(replace(GPT, peak_lr=5e-4)).reasons)


def test_after_a_divergence_the_peak_goes_down() -> None:
    advice = advise(replace(GPT, peak_lr=1e-3, diverged=True))
    assert advice.peak is not None
    assert (advice.peak.low, advice.peak.high) == (pytest.approx(3e-4), pytest.approx(5e-4))


@pytest.mark.parametrize(("kind", "start"), [("sgd", 4.0), ("adam", 2.0), ("other", 2.0)])
def test_scaling_spans_both_rules_and_starts_with_the_optimizers_own(kind: Any, start: float) -> None:
    found = scaled_to(Range(1.0, 1.0, 1.0), kind, 64, 256)
    assert found.peak == Range(2.0, 4.0, start)
    down = scaled_to(Range(1.0, 1.0, 1.0), kind, 256, 64)
    assert down.peak == Range(0.25, 0.5, 0.25 if kind == "sgd" else 0.5)


def test_proportional_scaling_stops_where_it_was_not_shown() -> None:
    found = scaled_to(Range(0.1, 0.1, 0.1), "sgd", 256, 65536)
    assert found.saturated
    assert found.peak.high == pytest.approx(0.1 * 8192 / 256)
    assert not scaled_to(Range(0.1, 0.1, 0.1), "sgd", 256, 8192).saturated


def test_another_batch_sees_the_same_examples() -> None:
    advice = advise(replace(RESNET, peak_lr=0.1), batch_size=1024)
    assert advice.horizon_steps == RESNET.steps // 4  # type: ignore[operator]
    assert advice.warmup_steps == 5 * 1250
    assert advice.peak is not None
    assert advice.peak.start == pytest.approx(0.4)


@pytest.mark.parametrize(("beta2", "steps", "warmup"), [(0.95, 100_000, 40), (None, 100_000, 2000), (None, 1000, 50)])
def test_adams_warmup_follows_its_memory_but_not_beyond_a_twentieth_of_the_run(
    beta2: float | None, steps: int, warmup: int
) -> None:
    assert advise(replace(GPT, beta2=beta2, steps=steps)).warmup_steps == warmup


def test_sgd_with_a_small_batch_needs_none() -> None:
    advice = advise(replace(RESNET, batch_size=128))
    assert advice.warmup_steps == 0
    assert isinstance(advice.schedule, CosineAnnealingLR)


def test_a_detector_drops_twice() -> None:
    advice = advise(Facts("a", optimizer="SGD", model="fasterrcnn_resnet50", steps=26_000, batch_size=16))
    assert isinstance(advice.schedule, Warmup)
    assert isinstance(advice.schedule.main, MultiStepLR)
    lr = advice.schedule.lr_at(np.array([15_000, 17_000, 23_000]))
    assert lr == pytest.approx([0.02, 0.002, 0.0002])


def test_an_open_length_is_answered_with_a_cooldown() -> None:
    advice = advise(replace(GPT, steps=None))
    assert (advice.schedule, advice.horizon_steps) == (None, None)
    assert any("last 10 to 20 %" in reason.text for reason in advice.reasons)
    assert any("--steps" in text for text in advice.missing)


def test_what_is_not_known_is_said_with_the_option_that_gives_it() -> None:
    missing = " ".join(advise(Facts("a")).missing)
    assert all(option in missing for option in ("--optimizer", "--model", "--task", "--steps"))
    assert advise(GPT).missing == ()


@pytest.mark.parametrize(
    ("declared", "task"),
    [
        ({"finetune": True}, "finetune"),
        ({"model": "gpt2"}, None),
        ({"task": "lora", "model": "llama"}, "adapter"),
    ],
)
def test_what_a_training_starts_from_is_read_from_its_settings(declared: dict[str, Any], task: str | None) -> None:
    evidence = examine(synth.run(CosineAnnealingLR(3e-4, 550), steps=550, declared=declared))
    assert facts_of(evidence.run, evidence.trajectory, evidence.identification).task == task


def test_facts_of_a_run_come_from_what_it_executed() -> None:
    schedule = Warmup(CosineAnnealingLR(3e-4, 550), 50, 0.01)
    evidence = examine(
        synth.run(
            schedule, steps=600, steps_per_epoch=60, optimizer="AdamW", batch_size=32,
            declared={"model": "gpt2", "lr": 9.0, "beta2": 0.95},
        )
    )  # fmt: skip
    facts = facts_of(evidence.run, evidence.trajectory, evidence.identification)
    assert facts.peak_lr == pytest.approx(3e-4)
    assert (facts.steps, facts.steps_per_epoch, facts.batch_size, facts.beta2) == (600, 60, 32, 0.95)
    assert (facts.optimizer_kind, facts.model_kind, facts.task) == ("adam", "language", None)

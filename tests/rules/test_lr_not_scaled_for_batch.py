"""LR401 on runs and their siblings."""

from __future__ import annotations

import pytest

from lrdoctor import synth
from lrdoctor.schedules import CosineAnnealingLR


def cosine(torch, optimizer):
    return torch.CosineAnnealingLR(optimizer, 200)


def sibling(batch_size=32, lr=0.01, optimizer="SGD", path="runs/small", model="net", **settings):
    return synth.run(
        CosineAnnealingLR(lr, T_max=200), steps=200, batch_size=batch_size, optimizer=optimizer, path=path,
        declared={"model": model} if model else {}, **settings,
    )  # fmt: skip


@pytest.fixture
def ask(train, diagnose):
    """Findings on a run with a batch of 512 beside a run with 32 at the same learning rate, but for what is given."""

    def asked(beside=None, lr=0.01, **settings):
        settings = {
            "batch_size": 512,
            "optimizer": "SGD",
            "path": "runs/large",
            "declared": {"model": "net"},
            **settings,
        }
        return diagnose(train(cosine, 200, lr=lr), siblings=[sibling()] if beside is None else beside, **settings)

    return asked


@pytest.mark.parametrize(("optimizer", "wanted"), [("SGD", 0.16), ("AdamW", 0.04)])
def test_the_larger_batch_at_the_same_learning_rate_fires(ask, optimizer, wanted):
    (finding,) = ask([sibling(optimizer=optimizer)], optimizer=optimizer)
    assert (finding.code, finding.severity) == ("LR401", "warning")
    assert finding.evidence["suggested_lr"] == pytest.approx(wanted)
    assert finding.remedy.schedule.peak_lr == pytest.approx(wanted)
    assert "runs/small" in finding.message


def test_of_several_the_smallest_batch_is_the_baseline(ask):
    (finding,) = ask([sibling(128, path="runs/b"), sibling(32), sibling(64, path="runs/c")])
    assert finding.evidence["baseline_batch_size"] == 32


def test_runs_without_a_models_name_are_told_by_folder_and_first_loss(ask):
    beside = [sibling(model=None)]
    assert [finding.code for finding in ask(beside, declared={})] == ["LR401"]
    assert ask(beside, declared={}, path="elsewhere/large") == []
    assert ask(beside, declared={}, loss=synth.Loss(floor=9.0)) == []


def test_a_recipe_stands_in_for_a_sibling(ask):
    declared = {"model": "mask_rcnn_r50_fpn"}
    (finding,) = ask([], lr=0.02, batch_size=2, declared=declared)
    assert (finding.code, finding.evidence["suggested_lr"]) == ("LR401", pytest.approx(0.0025))
    assert ask([], lr=0.02, batch_size=16, declared=declared) == []
    assert ask([], lr=0.0025, batch_size=2, declared=declared) == []
    assert ask([], lr=0.02, batch_size=2, declared=declared, optimizer="AdamW") == []


SILENT = {
    "scaled linearly": {"lr": 0.16},
    "scaled by a little": {"lr": 0.011},
    "less than four times the batch": {"batch_size": 127},
    "the smaller batch is the baseline": {"beside": [sibling(2048)]},
    "another model": {"beside": [sibling(model="other")]},
    "a model on one side only": {"beside": [sibling(model=None)]},
    "another optimizer": {"beside": [sibling(optimizer="AdamW")]},
    "another framework": {"framework": "lightning"},
    "no optimizer is known": {"optimizer": None, "beside": [sibling(optimizer=None)]},
    "no batch size is known": {"batch_size": None},
    "no batch size of the sibling": {"beside": [sibling(None)]},
    "the learning rate was varied at this batch": {"beside": [sibling(), sibling(512, lr=0.05, path="runs/b")]},
    "fine-tuning": {"declared": {"model": "net", "finetune": True}},
    "a batch of tokens": {"declared": {"model": "net", "max_tokens": 4096}},
    "LAMB": {"optimizer": "LAMB", "beside": [sibling(optimizer="LAMB")]},
    "LARS": {"optimizer": "LARS", "beside": [sibling(optimizer="LARS")]},
    "a baseline that is large already": {"batch_size": 65536, "beside": [sibling(8192)]},
    "alone": {"beside": []},
}


@pytest.mark.parametrize("settings", SILENT.values(), ids=SILENT)
def test_healthy_look_alikes_are_silent(ask, settings):
    assert ask(**settings) == []

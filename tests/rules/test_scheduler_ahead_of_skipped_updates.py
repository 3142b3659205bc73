"""LR103 on torch's GradScaler, run on the CPU with gradients that overflow."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
STEPS = 600
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of")


@pytest.fixture
def scaled(script):
    """600 updates under a scaler, those in `overflow` with infinite gradients; the scheduler is stepped at each."""

    def run(overflow, careful=False, save_at=(STEPS,), saved_scaler=True):
        scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
        opt = script.optimizer("AdamW", lr=0.01)
        sched = schedulers.CosineAnnealingLR(opt, STEPS)
        for update in range(STEPS):
            script.lrs.append(opt.param_groups[0]["lr"])
            loss = script.model(torch.ones(1, 2)).sum() * (float("inf") if update in overflow else 1.0)
            scaler.scale(loss).backward()
            before = scaler.get_scale()
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()
            if not careful or scaler.get_scale() >= before:
                sched.step()
            if update + 1 in save_at:
                script.save(opt, sched, **({"scaler": scaler.state_dict()} if saved_scaler else {}))
        return script.executed

    return run


def codes(findings):
    return [(found.code, found.severity) for found in findings]


MANY, FEW = range(20, STEPS, 15), range(5, 125, 10)


def test_many_skips_are_a_warning_with_both_counts(scaled, diagnose):
    (finding,) = diagnose(scaled(MANY), complete=True)
    assert (finding.code, finding.severity) == ("LR103", "warning")
    assert (finding.evidence["skipped_updates"], finding.evidence["scheduler_steps"]) == (len(MANY), STEPS)
    assert finding.evidence["loss_scale"] == 65536.0 * 0.5 ** len(MANY)
    assert finding.evidence["observed_lr"] < finding.evidence["expected_lr"]


def test_a_dozen_skips_are_a_remark(scaled, diagnose):
    assert codes(diagnose(scaled(FEW), complete=True)) == [("LR103", "info")]


def test_the_latest_share_counts(scaled, diagnose):
    """All skips lie before the first checkpoint: the scaler has settled since."""
    executed = scaled(range(0, 40, 2), save_at=(300, STEPS))
    assert codes(diagnose(executed, complete=True)) == [("LR103", "info")]


@pytest.mark.parametrize("overflow", [(), range(0, 20, 2)], ids=["none", "ten at the start"])
def test_the_search_for_a_scale_is_silent(scaled, diagnose, overflow):
    assert diagnose(scaled(overflow), complete=True) == []


def test_a_scheduler_that_waits_for_the_optimizer_is_silent(scaled, diagnose):
    assert "LR103" not in [found.code for found in diagnose(scaled(MANY, careful=True), complete=None)]


@pytest.mark.parametrize(("precision", "fires"), [("fp16", True), ("16-mixed", True), ("bf16", False), (None, False)])
def test_without_a_saved_scaler_the_settings_say_whether_there_was_one(scaled, diagnose, precision, fires):
    executed = scaled(MANY, saved_scaler=False)
    declared = {"precision": precision} if precision else {}
    assert ("LR103" in [found.code for found in diagnose(executed, complete=True, declared=declared)]) is fires


@pytest.mark.parametrize(("skipped", "expected"), [(3, []), (40, ["LR103"])])
def test_deepspeeds_own_count_is_read(script, diagnose, skipped, expected):
    opt = script.optimizer()
    for _ in range(STEPS):
        script.update(opt)
    script.save(opt, None, module={}, global_steps=STEPS, skipped_steps=skipped)
    assert [found.code for found in diagnose(script.executed, complete=True)] == expected

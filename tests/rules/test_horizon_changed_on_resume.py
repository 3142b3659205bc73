"""LR203 on torch schedulers resumed with another planned length."""

from __future__ import annotations

import json
import math

import pytest

torch = pytest.importorskip("torch")
schedulers = torch.optim.lr_scheduler
AT, STEPS = 120, 300


def linear(total, warmup=20):
    """transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)."""

    def factor(step):
        return step / warmup if step < warmup else max(0.0, (total - step) / (total - warmup))

    return lambda opt: schedulers.LambdaLR(opt, factor)


def cosine(total):
    return lambda opt: schedulers.LambdaLR(opt, lambda t: 0.5 * (1 + math.cos(math.pi * t / total)))


def stateful(total):
    return lambda opt: schedulers.CosineAnnealingLR(opt, total)


def polynomial(total):
    return lambda opt: schedulers.LambdaLR(opt, lambda t: max(0.0, 1 - t / total) ** 2)


@pytest.fixture
def resumed(script):
    """A session with `before`, and from update 120 on one with `after`, into which both states are loaded."""

    def run(before, after, steps=STEPS):
        opt = script.optimizer("SGD")
        sched = before(opt)
        for update in range(steps):
            if update == AT:
                old, clock = opt.state_dict(), sched.state_dict()
                opt = script.optimizer("SGD")
                sched = after(opt)
                opt.load_state_dict(old)
                sched.load_state_dict(clock)
            script.update(opt)
            sched.step()
        return script.executed

    return run


def codes(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize(
    ("kind", "before", "after"), [(linear, 300, 600), (linear, 600, 300), (cosine, 300, 600), (polynomial, 300, 450)]
)
def test_a_schedule_computed_from_another_length_fires(resumed, diagnose, kind, before, after):
    executed = resumed(kind(before), kind(after))
    (finding,) = [found for found in diagnose(executed, resume_at=(AT,), complete=None) if found.code == "LR203"]
    assert finding.severity == "warning"
    assert (finding.evidence["horizon_before"], finding.evidence["horizon_after"]) == pytest.approx(
        (before, after), abs=1
    )
    assert finding.remedy.schedule.horizon == before


def test_both_values_at_the_resume_are_named(resumed, diagnose):
    (finding,) = diagnose(resumed(linear(300), linear(600)), resume_at=(AT,), complete=None)
    assert finding.first_step == AT + 1  # the value that was loaded is used once
    assert finding.evidence["expected_lr"] == pytest.approx(0.1 * (300 - AT - 1) / 280)
    assert finding.evidence["observed_lr"] == pytest.approx(0.1 * (600 - AT - 1) / 580)


@pytest.mark.parametrize("kind", [linear, cosine, stateful], ids=lambda kind: kind.__name__)
def test_the_same_length_is_silent(resumed, diagnose, kind):
    assert diagnose(resumed(kind(300), kind(300)), resume_at=(AT,), complete=True) == []


def test_torchs_own_cosine_keeps_its_length_and_shows_no_jump(resumed, diagnose):
    executed = resumed(stateful(300), stateful(600))
    assert executed.lrs[-1] == pytest.approx(0.1 * 0.5 * (1 - 0.99994517), rel=1e-2)
    assert "LR203" not in [found.code for found in diagnose(executed, resume_at=(AT,), complete=None)]


@pytest.mark.parametrize(("planned", "fires"), [((300, 300), False), ((300, 600), True), ((300, 303), False)])
def test_two_trainer_states_tell_it_without_a_log(tmp_path, diagnose, script, planned, fires):
    opt = script.optimizer()
    sched = linear(planned[0])(opt)
    folders = []
    for step in range(1, STEPS + 1):
        script.update(opt)
        sched.step()
        if step in (AT, STEPS):
            folder = tmp_path / f"checkpoint-{step}"
            folder.mkdir()
            state = {"global_step": step, "max_steps": planned[step == STEPS], "epoch": 1.0, "log_history": []}
            (folder / "trainer_state.json").write_text(json.dumps(state))
            torch.save(opt.state_dict(), folder / "optimizer.pt")
            torch.save(sched.state_dict(), folder / "scheduler.pt")
            folders.append(str(folder))
    script.checkpoints = folders
    found = diagnose(script.executed, log_lr=False, complete=None)
    assert (("LR203", "warning") in codes(found)) is fires

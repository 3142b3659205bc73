"""LR204 on torch's LinearLR, built anew on a resume with the optimizer's state loaded after it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")


def sequence(start_factor, rest):
    def build(torch, opt):
        ramp = torch.LinearLR(opt, start_factor, total_iters=40)
        return torch.SequentialLR(opt, [ramp, rest(torch, opt)], milestones=[40])

    return build


def cosine(torch, opt):
    return torch.CosineAnnealingLR(opt, 260)


def chained(torch, opt):
    return torch.ChainedScheduler([torch.LinearLR(opt, 0.1, total_iters=40), torch.CosineAnnealingLR(opt, 3000)])


def codes(findings):
    return [(found.code, found.severity) for found in findings]


@pytest.mark.parametrize("start_factor", [1 / 3, 0.1, 0.01])
def test_the_factor_is_the_one_torch_applies(train, diagnose, start_factor):
    executed = train(sequence(start_factor, cosine), 300, lost_at=(120,))
    (finding,) = diagnose(executed, resume_at=(120,), complete=True, identified=False)
    assert (finding.code, finding.severity, finding.first_step) == ("LR204", "error", 120)
    assert finding.evidence["times_peak"] == pytest.approx(max(executed.lrs) / 0.1)
    assert finding.evidence["times_lr_at_resume"] == pytest.approx(1 / start_factor, rel=0.03)
    assert finding.evidence["observed_lr"] == max(executed.lrs)


def test_the_planned_value_is_the_one_of_a_full_resume(train, diagnose):
    executed = train(sequence(0.1, cosine), 170, lost_at=(120,))
    (finding,) = [found for found in diagnose(executed, resume_at=(120,)) if found.code == "LR204"]
    planned = train(sequence(0.1, cosine), 170).lrs
    assert finding.evidence["expected_lr"] == pytest.approx(planned[int(finding.evidence["top_step"])])
    assert finding.remedy.schedule.params()["T_max"] == 260


def test_a_warmup_alone_stays_up_there(train, diagnose):
    executed = train(lambda torch, opt: torch.LinearLR(opt, 0.1, total_iters=40), 200, lost_at=(120,))
    assert codes(diagnose(executed, resume_at=(120,), complete=True)) == [("LR204", "error")]


def test_a_climb_that_neither_drops_nor_is_as_steep_as_a_known_warmup_is_a_warning(train, diagnose):
    executed = train(chained, 200, lost_at=(120,))
    assert codes(diagnose(executed, resume_at=(120,), identified=False)) == [("LR204", "warning")]


def test_a_run_that_stopped_within_the_climb_is_enough(train, diagnose):
    executed = train(sequence(0.1, cosine), 145, lost_at=(120,))
    assert codes(diagnose(executed, resume_at=(120,), complete=None)) == [("LR204", "error")]


@pytest.mark.parametrize("log_every", [5, 8])
def test_a_sparse_log_is_enough(train, diagnose, log_every):
    executed = train(sequence(0.1, cosine), 300, lost_at=(121,))
    found = diagnose(executed, resume_at=(121,), log_every=log_every, complete=True, identified=False)
    assert ("LR204", "error") in codes(found)


def test_a_checkpoint_alone_is_enough(train, diagnose):
    executed = train(sequence(0.1, cosine), 150, lost_at=(120,), save_at=(150,))
    (finding,) = [found for found in diagnose(executed, log_lr=False) if found.code == "LR204"]
    assert finding.severity == "error"
    assert finding.evidence["times_peak"] == pytest.approx(6.076, rel=0.01)


@pytest.mark.parametrize("at", [20, 39, 40, 41, 120])
def test_a_full_resume_is_silent(train, diagnose, at):
    executed = train(sequence(0.1, cosine), 300, kept_at=(at,), save_at=(at, 300))
    assert diagnose(executed, resume_at=(at,), complete=True) == []


@pytest.mark.parametrize("build", [chained, lambda torch, opt: torch.LinearLR(opt, 0.1, total_iters=40)])
def test_full_resumes_of_other_warmups_are_silent(train, diagnose, build):
    executed = train(build, 300, kept_at=(20, 120), save_at=(30, 150, 300))
    found = [finding.code for finding in diagnose(executed, resume_at=(20, 120), identified=False)]
    assert "LR204" not in found


RISING = {
    "OneCycleLR": lambda torch, opt: torch.OneCycleLR(opt, 0.1, total_steps=300),
    "CyclicLR": lambda torch, opt: torch.CyclicLR(opt, 0.001, 0.1, step_size_up=50),
    "an exponential rise": lambda torch, opt: torch.ExponentialLR(opt, 1.01),
}


@pytest.mark.parametrize("build", RISING.values(), ids=RISING)
def test_schedules_that_rise_by_design_are_silent(train, diagnose, build):
    executed = train(build, 300, kept_at=(120,), save_at=(80, 120, 300))
    found = [finding.code for finding in diagnose(executed, resume_at=(120,), identified=False)]
    assert "LR204" not in found


def test_a_warmup_by_a_function_starts_over_from_below(train, diagnose):
    """LambdaLR computes its value from the base learning rate: it jumps, which is another rule's."""
    executed = train(lambda torch, opt: torch.LambdaLR(opt, lambda t: min(1.0, (t + 1) / 40)), 300, lost_at=(120,))
    assert "LR204" not in [finding.code for finding in diagnose(executed, resume_at=(120,), identified=False)]

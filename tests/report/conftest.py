"""Diagnoses built by hand: a faulty run with resumes, a healthy one, one without any LR, and two counterfactuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.diagnosis import Audit, Counterfactual, Diagnosis, LossBand, Skipped, TorchReplay
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.model.identification import Fit, GroupIdentification, Identification, WarmupShape
from lrdoctor.model.run import Checkpoint, Hint, Note, OptimizerState, Run, SchedulerState, Source
from lrdoctor.model.trajectory import Choice, Curve, GroupTrajectory, LossCurve, Overlap, Segment, Trajectory
from lrdoctor.schedules import CosineAnnealingLR, OneCycleLR, Stepped, Warmup

STEPS = 10_000
PER_EPOCH = 100


@dataclass(frozen=True)
class RulePage:
    """A rule's page as the reports see it."""

    title: str
    what: str
    why: str
    fix: str
    markdown: str = ""


PAGES = {
    "LR101": RulePage(
        title="OneCycleLR is stepped once per epoch.",
        what="Compares the visited part of the cycle with the whole of it.",
        why="The policy is defined **per update**. Stepped once an epoch, the run never leaves the first percent\n"
        "of its cycle: it trains at about `max_lr / 25` throughout and never anneals.",
        fix="Step the scheduler after every update:\n\n- Lightning: `{'interval': 'step'}`\n- plain PyTorch: move\n"
        "  `scheduler.step()` into the inner loop\n\n"
        "```python\nfor batch in loader:\n    optimizer.step()\n    scheduler.step()\n```",
    )
}


def onecycle() -> OneCycleLR:
    return OneCycleLR(max_lr=0.1, total_steps=STEPS)


def fit_of(
    schedule: OneCycleLR | CosineAnnealingLR, *, whole: object, stepped: str, per_tick: float, first: float, last: float
) -> Fit:
    return Fit(
        schedule=schedule,
        whole=whole,  # type: ignore[arg-type]
        first_step=first,
        last_step=last,
        stepped=stepped,  # type: ignore[arg-type]
        steps_per_tick=per_tick,
        fit_error=1.2e-7,
        confidence=0.99,
        exact=True,
        runner_up="PolynomialLR",
    )


def losses(steps: np.ndarray, seed: int, *, floor: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, 0.05, len(steps))
    return floor + 4.0 * (1.0 + steps / 150.0) ** -0.45 + noise


@pytest.fixture(scope="session")
def faulty() -> Diagnosis:
    """OneCycleLR stepped once per epoch over 100 epochs, resumed at 4,000 and 7,500 with an overlap."""
    schedule = onecycle()
    staircase = Stepped(schedule, PER_EPOCH, "epoch")
    steps = np.arange(STEPS, dtype=float)
    lr = staircase.lr_at(steps)
    segment = np.searchsorted([4000, 7500], steps, side="right")
    back = np.arange(4000, 4300, dtype=float)
    train = LossCurve("train/loss", "train-loss", floats(steps), floats(losses(steps, 1)), ints(segment))
    each_epoch = steps[PER_EPOCH - 1 :: PER_EPOCH]
    val = Curve(
        "val/loss",
        "eval-loss",
        floats(each_epoch),
        floats(losses(each_epoch, 2) + 0.12),
        ints(segment[PER_EPOCH - 1 :: PER_EPOCH]),
    )
    sources = tuple(f"runs/resnet-onecycle/events.out.tfevents.{i}" for i in range(3))
    trajectory = Trajectory(
        run_path="runs/resnet-onecycle",
        groups=(
            GroupTrajectory("lr-SGD/pg1", "lr-SGD/pg1", floats(steps), floats(lr), ints(segment)),
            GroupTrajectory("lr-SGD/pg2", "lr-SGD/pg2", floats(steps), floats(lr * 0.5), ints(segment)),
        ),
        step_unit="update",
        steps=STEPS,
        segments=(
            Segment(0, 3999, sources[0]),
            Segment(4000, 7499, sources[1], resumed=True),
            Segment(7500, STEPS - 1, sources[2], resumed=True),
        ),
        steps_per_epoch=PER_EPOCH,
        epochs=100,
        batch_size=256,
        complete=True,
        planned_steps=STEPS,
        lr_points=STEPS + 300,
        lr_points_by_source=((sources[0], 4300), (sources[1], 3500), (sources[2], 2500)),
        curves=(train, val),
        overlaps=(Overlap("lr-SGD/pg1", floats(back), floats(staircase.lr_at(back) * 1.05), 0),),
        choices=(
            Choice(
                "learning rate",
                "lr-SGD/pg1",
                "its name begins with `lr-`, as Lightning's LearningRateMonitor writes it",
                ("lr-Adam",),
            ),
            Choice("step axis", "step", "it grows by one a batch"),
        ),
    )
    fit = fit_of(schedule, whole=staircase, stepped="epoch", per_tick=PER_EPOCH, first=0, last=STEPS - 1)
    findings = (
        Finding(
            measured="The scheduler advanced once per epoch: 100 of its 10,000 steps were taken.",
            expected="OneCycleLR(total_steps=10000) is meant to be stepped after every optimizer update.",
            consequence="The run stayed in the first 1 % of the cycle and never reached its peak of 0.1.",
            first_step=0,
            last_step=STEPS - 1,
            evidence={
                "visited_fraction": 0.01,
                "largest_lr": 0.00402,
                "total_steps": STEPS,
                "epochs": 100,
                "stepped": "epoch",
                "nothing": None,
            },
            remedy=Remedy("Step OneCycleLR after every optimizer update.", Stepped(schedule, 1.0, "update")),
            severity="error",
            code="LR101",
            name="onecycle-stepped-per-epoch",
        ),
        Finding(
            measured="The checkpoint at step 4,000 holds no scheduler state.",
            expected="A scheduler's state_dict beside the optimizer's.",
            consequence="After a resume the schedule starts its count again.",
            first_step=4000,
            last_step=7499,
            evidence={"checkpoint": "runs/resnet-onecycle/last.ckpt"},
            remedy=Remedy("Save and load the scheduler.", None, 'checkpoint["scheduler"] = scheduler.state_dict()'),
            severity="warning",
            code="LR201",
            name="scheduler-state-missing",
        ),
        Finding(
            measured="The LR changed by less than 1 % in each epoch.",
            expected="",
            consequence="",
            first_step=0,
            last_step=STEPS - 1,
            severity="info",
            code="LR109",
            name="coarse-schedule",
            suppressed_by="LR101",
        ),
    )
    thin = np.arange(0, STEPS, 5, dtype=float)
    fixed = losses(thin, 3, floor=1.75)
    smooth = 1.75 + 4.0 * (1.0 + thin / 150.0) ** -0.45
    run = Run(
        path="runs/resnet-onecycle",
        checkpoints=(
            Checkpoint(
                "runs/resnet-onecycle/last.ckpt",
                "torch",
                True,
                OptimizerState("SGD", ({"lr": 0.004, "momentum": 0.9},), 4000, 62, 62),
                (),
                global_step=4000,
                epoch=40,
                framework="lightning",
                notes=(Note("runs/resnet-onecycle/last.ckpt", "one tensor is shorter than declared", "byte 4,032"),),
            ),
            Checkpoint(
                "runs/resnet-onecycle/epoch=99.ckpt",
                "torch",
                True,
                OptimizerState("SGD", ({"lr": 0.004},), 10000, 62, 62),
                (SchedulerState("OneCycleLR", 100, 101),),
                global_step=STEPS,
                epoch=100,
            ),
        ),
        hints=(Hint("batch_size", 256, "runs/resnet-onecycle/hparams.yaml", "data.batch_size", "per device"),),
        sources=tuple(
            Source(path, "tensorboard", 9000 - i, (Note(path, "truncated", "byte 812"),) if i == 2 else ())
            for i, path in enumerate(sources)
        ),
        framework="lightning",
    )
    return Diagnosis(
        run=run,
        trajectory=trajectory,
        identification=Identification(
            (GroupIdentification("lr-SGD/pg1", (fit,)), GroupIdentification("lr-SGD/pg2", (fit,)))
        ),
        findings=findings,
        verdict="lr-faulty",
        remedy=findings[0].remedy,
        replay=TorchReplay(floats(thin), floats(schedule.lr_at(thin)), None, 2.2e-16, "2.13.0", "SGD"),
        counterfactual=Counterfactual(
            "estimated",
            method="multi-power-law",
            observed_final_loss=2.56,
            estimated_final_loss=2.31,
            interval_90=(2.22, 2.43),
            prior_share=0.2,
            direction="lower",
            band=LossBand(floats(thin), floats(smooth), floats(smooth - 0.1), floats(np.maximum(fixed, smooth) + 0.1)),
            device="cpu",
            seconds=1.8,
        ),
    )


@pytest.fixture(scope="session")
def healthy() -> Diagnosis:
    """A cosine with warmup, logged every 50 updates, nothing wrong."""
    schedule = CosineAnnealingLR(3e-4, T_max=4500)
    whole = Warmup(schedule, 500, 0.01)
    steps = np.arange(0, 5000, 50, dtype=float)
    zeros = ints(np.zeros(len(steps)))
    fit = fit_of(schedule, whole=whole, stepped="update", per_tick=1, first=0, last=4950)
    fit = replace(fit, warmup=WarmupShape("linear", 500, 0.01))
    path = "runs/gpt-small"
    return Diagnosis(
        run=Run(path, sources=(Source(f"{path}/trainer_state.json", "hf-trainer", 300),), framework="transformers"),
        trajectory=Trajectory(
            run_path=path,
            groups=(
                GroupTrajectory("learning_rate", "learning_rate", floats(steps), floats(whole.lr_at(steps)), zeros),
            ),
            step_unit="update",
            steps=5000,
            segments=(Segment(0, 4999, f"{path}/trainer_state.json"),),
            lr_points=100,
            lr_points_by_source=((f"{path}/trainer_state.json", 100),),
            curves=(LossCurve("loss", "train-loss", floats(steps), floats(losses(steps, 4)), zeros),),
        ),
        identification=Identification((GroupIdentification("learning_rate", (fit,)),)),
        findings=(),
        verdict="lr-healthy",
    )


@pytest.fixture(scope="session")
def unknown() -> Diagnosis:
    """A loss and no learning rate."""
    steps = np.arange(200, dtype=float)
    path = "runs/no-lr/results.csv"
    return Diagnosis(
        run=Run(path, sources=(Source(path, "csv", 200),)),
        trajectory=Trajectory(
            run_path=path,
            groups=(),
            step_unit="epoch",
            steps=200,
            segments=(Segment(0, 199, path),),
            curves=(LossCurve("loss", "train-loss", floats(steps), floats(losses(steps, 5)), ints(np.zeros(200))),),
        ),
        identification=Identification(),
        findings=(
            Finding(
                "No learning rate was logged.",
                "",
                "Log it once an update.",
                0,
                199,
                severity="info",
                code="LR901",
                name="lr-not-observable",
            ),
        ),
        verdict="lr-unknown",
    )


@pytest.fixture(scope="session")
def refused(faulty: Diagnosis) -> Diagnosis:
    """The faulty run where the loss could not be estimated and torch is absent."""
    return replace(
        faulty,
        run=replace(faulty.run, path="runs/refused/version_0"),
        replay=None,
        counterfactual=Counterfactual("refused", reason="the fix reaches 25 times the largest LR the run has seen"),
        left_out=("torch replay: pip install 'lrdoctor[sim]'",),
    )


@pytest.fixture(scope="session")
def audit(faulty: Diagnosis, healthy: Diagnosis, unknown: Diagnosis, refused: Diagnosis) -> Audit:
    skipped = (Skipped("runs/notes.csv", "no column names a learning rate"), Skipped("runs/x.csv", "binary data"))
    return Audit((healthy, unknown, refused, faulty), skipped, "0.1.0")


@pytest.fixture(scope="session")
def pages() -> dict[str, RulePage]:
    return PAGES


@pytest.fixture(scope="session")
def report(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk; the path of its index.html."""
    from lrdoctor.report.html import write_report

    return write_report(audit, tmp_path_factory.mktemp("report") / "lrdoctor-report", pages=PAGES)

"""Whole runs with a fault planted, and the same draw without it: real training, real schedulers, real checkpoints."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler as ls
from training import Make, Training

Rng = np.random.Generator
LOGS = ("tensorboard", "csv", "json", "trainer_state")


@dataclass(frozen=True, slots=True)
class Setting:
    """One draw: everything two twins share, faulty or not. `folder` is where the run is written."""

    rng: Rng
    seed: int
    per_epoch: int
    epochs: int
    logger: str
    cadence: int
    folder: Path

    def training(self, **more: Any) -> Training:
        return Training(self.seed, self.per_epoch, self.epochs, **more)

    def write(self, run: Training, *, finished: bool = True, **told: Any) -> None:
        run.write(self.folder, self.logger, self.cadence, {"model": "mlp", **told}, finished=finished)

    @property
    def total(self) -> int:
        return self.per_epoch * self.epochs

    def crash(self, run: Training, at: int, **kept: bool) -> str:
        """Save at `at` and go on for a third of an epoch before the process ends; the name of the checkpoint."""
        run.train(at)
        name = run.save(**kept)
        run.train(at + self.per_epoch // 3)
        return name

    def pick(self, *values: Any) -> Any:
        """One of the values; twins pick alike because they start from the same seed."""
        return values[int(self.rng.integers(len(values)))]


def setting(seed: int, folder: Path) -> Setting:
    rng = np.random.default_rng(seed)
    per_epoch, epochs = int(rng.integers(16, 40)), int(rng.integers(20, 40))
    return Setting(rng, seed, per_epoch, epochs, str(rng.choice(LOGS)), int(rng.choice([1, 1, 2, 5])), folder)


def cosine(total: int, eta_min: float = 0.0) -> Make:
    return lambda o: ls.CosineAnnealingLR(o, total, eta_min)


def decline(total: int) -> Make:
    return lambda o: ls.LinearLR(o, 1.0, 0.0, total)


def warmed(main: Make, steps: int, factor: float = 0.01) -> Make:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        ramp = ls.LinearLR(optimizer, factor, total_iters=steps)
        return ls.SequentialLR(optimizer, [ramp, main(optimizer)], [steps])

    return make


def onecycle_per_epoch(s: Setting, faulty: bool) -> None:
    run = s.training(lr=0.01)
    run.schedule(lambda o: ls.OneCycleLR(o, s.pick(0.01, 0.05, 0.1), s.total))
    run.train(per="epoch" if faulty else "update")
    run.save()
    s.write(run)


def outpaced(s: Setting, faulty: bool) -> None:
    """One scheduler step per micro-batch, or one by the framework and one by hand."""
    factor = s.pick(2, 4, 8)
    make = s.pick(cosine(s.total), decline(s.total), warmed(decline(s.total - 40), 40))
    run = s.training()
    run.schedule(make)
    run.train(s.total // 2, ticks=factor if faulty else 1)
    run.save()
    run.train(ticks=factor if faulty else 1)
    run.save()
    s.write(run)


def skipped_updates(s: Setting, faulty: bool) -> None:
    """A gradient scaler left out updates now and then; the scheduler went on."""
    run = s.training()
    run.schedule(cosine(s.total))
    run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10 if faulty else 2.0**16).state_dict()
    run.train(update=lambda step: not (faulty and step % 50 in (7, 8)))
    run.save()
    s.write(run)


def scheduler_first(s: Setting, faulty: bool) -> None:
    size = s.pick(4, 5, 6)
    run = s.training(optimizer="SGD", lr=0.05)
    run.schedule(lambda o: ls.StepLR(o, size, 0.3))
    if faulty:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run.scheduler.step()
    run.train(per="epoch")
    run.save()
    s.write(run)


def never_stepped(s: Setting, faulty: bool) -> None:
    run = s.training()
    steps: Make = lambda o: ls.StepLR(o, s.total // 3)  # noqa: E731
    run.schedule(s.pick(cosine(s.total), lambda o: ls.OneCycleLR(o, 0.01, s.total), steps))
    run.train(per="never" if faulty else "update")
    run.save()
    s.write(run)


def reset_each_epoch(s: Setting, faulty: bool) -> None:
    run = s.training()

    def before(step: int) -> None:
        if faulty and step and step % s.per_epoch == 0:
            for group in run.optimizer.param_groups:
                group["lr"] = run.lr
                group.pop("initial_lr", None)
            run.schedule(lambda o: ls.ExponentialLR(o, 0.95))

    run.schedule(lambda o: ls.ExponentialLR(o, 0.95 if faulty else 0.997))
    run.train(before=before)
    run.save()
    s.write(run)


def warmup_in_wrong_unit(s: Setting, faulty: bool) -> None:
    """`warmup_epochs` taken for a number of updates."""
    epochs = s.pick(3, 4, 5)
    steps = epochs if faulty else epochs * s.per_epoch
    run = s.training()
    run.schedule(warmed(cosine(s.total - steps), steps))
    run.train()
    run.save()
    s.write(run, warmup_epochs=epochs)


def detached(s: Setting, faulty: bool) -> None:
    """The optimizer was built anew after the scheduler: the LR that is reported is not the one that is used."""
    run = s.training()
    run.schedule(s.pick(cosine(s.total), lambda o: ls.ExponentialLR(o, 0.995)))
    if faulty:
        run.optimizer = run.new_optimizer()
    run.train()
    run.save()
    s.write(run)


def coarse(s: Setting, faulty: bool) -> None:
    run = s.training()
    run.schedule(lambda o: ls.OneCycleLR(o, 0.01, s.epochs if faulty else s.total))
    run.train(per="epoch" if faulty else "update")
    run.save()
    s.write(run)


def scheduler_lost(s: Setting, faulty: bool) -> None:
    make = s.pick(cosine(s.total), decline(s.total), lambda o: ls.OneCycleLR(o, 0.01, s.total))
    run = s.training()
    run.schedule(make)
    kept = s.crash(run, int(s.total * s.rng.uniform(0.3, 0.6)) // s.per_epoch * s.per_epoch, scheduler=not faulty)
    run.resume(kept, make, scheduler=not faulty)
    run.train()
    run.save(scheduler=not faulty)
    s.write(run)


def optimizer_lost(s: Setting, faulty: bool) -> None:
    """A LambdaLR sets the LR whatever the optimizer held, so only the moments and the step count are gone."""
    total = s.total
    make: Make = lambda o: ls.LambdaLR(o, lambda t: max(0.0, 1.0 - t / total))  # noqa: E731
    run = s.training()
    run.schedule(make)
    kept = s.crash(run, s.total // 2, optimizer=not faulty)
    run.resume(kept, make, optimizer=not faulty)
    if faulty:
        run.scheduler.last_epoch -= 1
        run.scheduler.step()
    run.train()
    run.save()
    s.write(run)


def horizon_changed(s: Setting, faulty: bool) -> None:
    """A closure over the number of steps: on resume the new plan rescales the whole curve."""
    first, second = s.total, int(s.total * s.pick(1.5, 2.0)) if faulty else s.total

    def make(total: int) -> Make:
        return lambda o: ls.LambdaLR(o, lambda t: 0.5 * (1 + math.cos(math.pi * min(t / total, 1.0))))

    run = s.training()
    run.schedule(make(first))
    kept = s.crash(run, s.total // 2)
    run.resume(kept, make(second))
    run.train()
    run.save()
    s.write(run)


def warmup_again(s: Setting, faulty: bool) -> None:
    """A LinearLR warmup built on an optimizer whose LR was loaded warm: it multiplies what is there."""
    factor, steps = s.pick(0.1, 1 / 3), 4 * s.per_epoch
    make: Make = warmed(cosine(s.total - steps), steps, factor)
    run = s.training()
    run.schedule(make)
    kept = s.crash(run, s.total // 3, scheduler=not faulty)
    run.resume(kept, make, scheduler=not faulty)
    run.train()
    run.save()
    s.write(run)


def exhausted(s: Setting, faulty: bool) -> None:
    share = s.pick(0.5, 0.25) if faulty else 1.0
    length = int(s.total * share)
    run = s.training()
    run.schedule(s.pick(decline(length), lambda o: ls.PolynomialLR(o, length, 2.0)))
    run.train()
    run.save()
    s.write(run)


def climbs(s: Setting, faulty: bool) -> None:
    length = s.pick(s.epochs, s.total // 2, int(s.total * 0.7)) if faulty else s.total
    run = s.training()
    run.schedule(cosine(length))
    run.train()
    run.save()
    s.write(run)


def never_reached(s: Setting, faulty: bool) -> None:
    factor = s.pick(2, 3, 4) if faulty else 1
    run = s.training()
    run.schedule(s.pick(cosine(s.total * factor), decline(s.total * factor)))
    run.train()
    run.save()
    s.write(run)


def collapses(s: Setting, faulty: bool) -> None:
    """A gamma meant for epochs, applied to every update."""
    gamma = s.pick(0.9, 0.95)
    run = s.training()
    run.schedule(lambda o: ls.ExponentialLR(o, gamma))
    run.train(per="update" if faulty else "epoch")
    run.save()
    s.write(run)


def mid_cycle(s: Setting, faulty: bool) -> None:
    cycles = 7
    length = s.total // cycles if not faulty else int(s.total / s.pick(4.0, 4.4))
    run = s.training(optimizer="SGD", lr=0.05)
    run.schedule(lambda o: ls.CosineAnnealingWarmRestarts(o, length, 2))
    run.train(cycles * length if not faulty else None)
    run.save()
    s.write(run)


def join_jumps(s: Setting, faulty: bool) -> None:
    """The warmup is longer than the milestone at which the main schedule takes over."""
    steps = 4 * s.per_epoch
    at = steps // 2 if faulty else steps

    def make(o: torch.optim.Optimizer) -> Any:
        ramp = ls.LinearLR(o, 0.01, total_iters=steps)
        return ls.SequentialLR(o, [ramp, ls.LambdaLR(o, lambda t: max(0.0, 1 - t / (s.total - at)))], [at])

    run = s.training()
    run.schedule(make)
    run.train()
    run.save()
    s.write(run)


def overridden(s: Setting, faulty: bool) -> None:
    peak = 1e-3 * (s.pick(2.5, 0.43, 0.037) if faulty else 1.0)
    run = s.training(lr=peak)
    run.schedule(cosine(s.total))
    run.train()
    run.save()
    run.lr = 1e-3
    s.write(run)


def negative(s: Setting, faulty: bool) -> None:
    length = int(s.total * (0.8 if faulty else 1.0))
    run = s.training()
    run.schedule(lambda o: ls.LambdaLR(o, lambda t: 1.0 - t / length))
    run.train()
    run.save()
    s.write(run)


def group_left_out(s: Setting, faulty: bool) -> None:
    """Logged by what logs every group: Transformers' trainer_state.json has the first one's LR alone."""
    s = replace(s, logger="csv" if s.logger == "trainer_state" else s.logger)
    run = s.training(groups=2)

    def before(step: int) -> None:
        if faulty:
            run.optimizer.param_groups[1]["lr"] = run.lr

    run.schedule(cosine(s.total))
    run.train(before=before)
    s.write(run)


def no_warmup(s: Setting, faulty: bool) -> None:
    steps = max(20, s.total // 25)
    run = s.training()
    run.schedule(cosine(s.total) if faulty else warmed(cosine(s.total - steps), steps))
    run.train()
    run.save()
    s.write(run, model=s.pick("gpt2", "llama-60m", "vit_small"))


def warmup_never_ends(s: Setting, faulty: bool) -> None:
    steps = int(s.total * (s.pick(1.2, 2.0, 0.7) if faulty else 0.05))
    run = s.training()
    run.schedule(warmed(cosine(max(s.total - steps, 50)), steps))
    run.train()
    run.save()
    s.write(run)


def spike(s: Setting, faulty: bool) -> None:
    """Something besides the LR changes at the milestone; the loss jumps and recovers."""
    mark = s.total // 2 // s.per_epoch * s.per_epoch

    def more(step: int) -> float:
        return 1.5 * math.exp(-(step - mark) / (4 * s.per_epoch)) if faulty and step >= mark else 0.0

    run = s.training(optimizer="SGD", lr=0.05)
    run.schedule(lambda o: ls.MultiStepLR(o, [mark], 0.1))
    run.train(add_loss=more)
    run.save()
    s.write(run)


def diverges(s: Setting, faulty: bool) -> None:
    """The loss breaks where the warmup reaches its peak."""
    steps = s.total // 5

    def more(step: int) -> float:
        return min(50.0, 0.02 * 1.3 ** min(step - 0.9 * steps, 60.0)) if faulty and step > 0.9 * steps else 0.0

    run = s.training(lr=0.03)
    run.schedule(warmed(cosine(s.total - steps), steps))
    run.train(add_loss=more)
    run.save()
    s.write(run)


def wrong_mode(s: Setting, faulty: bool) -> None:
    """ReduceLROnPlateau told to minimise what rises: an accuracy."""
    patience = s.pick(2, 3)
    run = s.training(optimizer="SGD", lr=0.02)
    run.schedule(lambda o: ls.ReduceLROnPlateau(o, mode="min" if faulty else "max", factor=0.5, patience=patience))
    run.train(per="epoch", metric=lambda epoch, loss: 1.0 / (1.0 + loss) + 0.002 * epoch)
    run.save()
    s.write(run)


def plateau_stuck(s: Setting, faulty: bool) -> None:
    """A patience no run of this length can exhaust, or a floor at the LR itself."""
    patience = 3
    floor = 0.02 if faulty else 1e-5
    run = s.training(optimizer="SGD", lr=0.02)
    run.schedule(lambda o: ls.ReduceLROnPlateau(o, factor=0.5, patience=patience, min_lr=floor))
    run.train(per="epoch", metric=lambda epoch, loss: max(loss, 0.3))
    run.save()
    s.write(run)


def unscaled_batch(s: Setting, faulty: bool) -> None:
    """Two runs of one model: eight times the batch, the LR as it was (or scaled)."""
    for name, batch in (("small", 16), ("large", 128)):
        run = s.training(optimizer="SGD", lr=0.01 if faulty or name == "small" else 0.08)
        run.batch = batch
        run.schedule(cosine(s.total))
        run.train()
        run.write(s.folder / name, s.logger, s.cadence, {"model": "mlp"})


def above_range_test(s: Setting, faulty: bool) -> None:
    """A sweep to where the loss breaks, and beside it a training with a peak above that LR (or at a tenth of it)."""
    updates = 300
    sweep = s.training(optimizer="SGD", lr=1e-4)
    sweep.schedule(lambda o: ls.LambdaLR(o, lambda t: 1e5 ** (t / (updates - 1))))
    sweep.train(updates)
    losses = np.nan_to_num(np.asarray(sweep.losses), nan=1e9, posinf=1e9)
    smooth = np.convolve(np.minimum(losses, 1e3), np.full(15, 1 / 15), "valid")
    broken = int(np.flatnonzero(smooth <= 2.0 * smooth[0])[-1]) + 8  # for good: a bump of the noise is no breakdown
    breaks = 1e-4 * 1e5 ** (broken / (updates - 1))
    run = s.training(optimizer="SGD", lr=float(f"{breaks * (1.5 if faulty else 0.1):.1g}"))
    run.schedule(cosine(s.total))
    run.train()
    for name, one in (("sweep", sweep), ("run", run)):
        one.write(s.folder / name, s.logger, 1, {"model": "mlp", "optimizer": "SGD"})


@dataclass(frozen=True, slots=True)
class Fault:
    """`also` are codes that name the same fault from another side: right answers too."""

    code: str
    plant: Callable[[Setting, bool], None]
    also: tuple[str, ...] = ()


FAULTS: Mapping[str, Fault] = {
    fault.plant.__name__: fault
    for fault in (
        Fault("LR101", onecycle_per_epoch),
        Fault("LR102", outpaced, ("LR302", "LR301")),
        Fault("LR103", skipped_updates),
        Fault("LR104", scheduler_first),
        Fault("LR105", never_stepped),
        Fault("LR106", reset_each_epoch),
        Fault("LR107", warmup_in_wrong_unit),
        Fault("LR108", detached),
        Fault("LR109", coarse),
        Fault("LR201", scheduler_lost, ("LR204",)),
        Fault("LR202", optimizer_lost),
        Fault("LR203", horizon_changed),
        Fault("LR204", warmup_again, ("LR201",)),
        Fault("LR301", exhausted),
        Fault("LR302", climbs),
        Fault("LR303", never_reached),
        Fault("LR304", collapses),
        Fault("LR305", mid_cycle),
        Fault("LR307", join_jumps),
        Fault("LR401", unscaled_batch),
        Fault("LR402", overridden),
        Fault("LR403", negative),
        Fault("LR404", group_left_out),
        Fault("LR501", no_warmup),
        Fault("LR502", warmup_never_ends),
        Fault("LR503", spike),
        Fault("LR504", diverges),
        Fault("LR505", above_range_test, ("LR504",)),
        Fault("LR601", wrong_mode),
        Fault("LR602", plateau_stuck),
    )
}

"""What the training libraries make of a schedule is recognised: family, parameters, warmup and unit of stepping."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.optim import lr_scheduler as t

from lrdoctor.identify import identify
from lrdoctor.model.trajectory import Trajectory

_spec = importlib.util.spec_from_file_location("libraries", Path(__file__).with_name("libraries.py"))
assert _spec is not None
assert _spec.loader is not None
lib = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lib)

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Made:
    """A trajectory of a library and what it is. `warmup` is (kind, steps); `known` goes into the trajectory."""

    name: str
    lr: Callable[[], np.ndarray]
    family: str
    params: dict[str, Any] = field(default_factory=dict)
    warmup: tuple[str, float] | None = None
    stepped: str | None = "update"
    known: dict[str, Any] = field(default_factory=dict)


EPOCHS = {"step_unit": "epoch"}
COS, LIN = "CosineAnnealingLR", "LinearLR"


def seq(first: Callable[[Any], Any], then: Callable[[Any], Any], at: int) -> Callable[[Any], Any]:
    return lambda o: t.SequentialLR(o, [first(o), then(o)], milestones=[at])


def halves(total: int, stop: int) -> Callable[[int], float]:
    return lambda e: 0.5 * (1 + math.cos(math.pi * e / total)) if e < stop else 0.0


def metric(cuts_after: int, ticks: int) -> np.ndarray:
    return np.maximum(1.0 - 0.01 * np.arange(ticks), 1.0 - 0.01 * cuts_after)


TORCH = [
    Made("triangles", lambda: lib.torch_lr(lambda o: t.CyclicLR(o, 1e-3, 0.1, 50), 430), "CyclicLR",
         {"base_lr": 1e-3, "max_lr": 0.1, "step_size_up": 50, "step_size_down": 50, "mode": "triangular"}),
    Made("uneven triangles", lambda: lib.torch_lr(lambda o: t.CyclicLR(o, 1e-3, 0.1, 30, 70), 430), "CyclicLR",
         {"step_size_up": 30, "step_size_down": 70, "mode": "triangular"}),
    Made("halving triangles", lambda: lib.torch_lr(lambda o: t.CyclicLR(o, 1e-3, 0.1, 50, mode="triangular2"), 430),
         "CyclicLR", {"base_lr": 1e-3, "max_lr": 0.1, "step_size_up": 50, "mode": "triangular2"}),
    Made("shrinking triangles", lambda: lib.torch_lr(
        lambda o: t.CyclicLR(o, 1e-3, 0.1, 50, mode="exp_range", gamma=0.995), 430), "CyclicLR",
         {"base_lr": 1e-3, "max_lr": 0.1, "step_size_up": 50, "mode": "exp_range", "gamma": 0.995}),
    Made("triangles per epoch", lambda: np.repeat(lib.torch_lr(lambda o: t.CyclicLR(o, 1e-3, 0.1, 4), 30), 20),
         "CyclicLR", {"step_size_up": 4, "step_size_down": 4}, stepped="epoch", known={"steps_per_epoch": 20.0}),
    Made("plateau with a regular patience", lambda: lib.plateau_lr(
        lambda o: t.ReduceLROnPlateau(o, factor=0.5, patience=6), metric(23, 80)), "ReduceLROnPlateau",
         {"factor": 0.5, "patience": 6, "cuts": [31, 38, 45, 52, 59, 66, 73]}, stepped="epoch", known=EPOCHS),
    Made("plateau down to a floor", lambda: lib.plateau_lr(
        lambda o: t.ReduceLROnPlateau(o, factor=0.1, patience=5, min_lr=3e-3), metric(17, 60)), "ReduceLROnPlateau",
         {"factor": 0.1, "min_lr": 3e-3}, stepped="epoch", known=EPOCHS),
    Made("chained warmup and exponential", lambda: lib.torch_lr(
        lambda o: t.ChainedScheduler([t.LinearLR(o, 0.1, total_iters=20), t.ExponentialLR(o, 0.99)]), 400),
         "ExponentialLR", {"gamma": 0.99}, ("linear", 20)),
    Made("chained warmup and steps", lambda: lib.torch_lr(
        lambda o: t.ChainedScheduler([t.ConstantLR(o, 0.1, total_iters=10), t.StepLR(o, 100)]), 400),
         "StepLR", {"step_size": 100, "gamma": 0.1}, ("constant", 10)),
    Made("constant warmup before a cosine", lambda: lib.torch_lr(
        seq(lambda o: t.ConstantLR(o, 0.1, total_iters=100), lambda o: t.CosineAnnealingLR(o, 400), 20), 420),
         COS, {"T_max": 400}, ("constant", 20)),
    Made("steps after a constant", lambda: lib.torch_lr(
        seq(lambda o: t.ConstantLR(o, 1.0, total_iters=0), lambda o: t.LinearLR(o, 1.0, 0.0, 100), 300), 400),
         "WarmupStableDecay", {"num_stable_steps": 300, "num_decay_steps": 100, "decay_type": "linear"}),
    Made("constant, then cosine", lambda: lib.torch_lr(
        seq(lambda o: t.ConstantLR(o, 1.0, total_iters=0), lambda o: t.CosineAnnealingLR(o, 200, 1e-3), 300), 500),
         "WarmupStableDecay", {"num_stable_steps": 300, "num_decay_steps": 200, "decay_type": "cosine"}),
    Made("range test by factors", lambda: lib.torch_lr(lambda o: t.ExponentialLR(o, 10**0.07), 100, 1e-7),
         "RangeTest", {"start_lr": 1e-7, "num_iter": 100, "end_lr": 1.0, "step_mode": "exp"}),
]  # fmt: skip
TRANSFORMERS = [
    Made("HF linear", lambda: lib.transformers_lr("linear", 1000, 60, 1000), LIN,
         {"total_iters": 940, "end_factor": 0.0}, ("linear", 60)),
    Made("HF cosine", lambda: lib.transformers_lr("cosine", 1000, 60, 1000), COS, {"T_max": 940}, ("linear", 60)),
    Made("HF cosine with restarts", lambda: lib.transformers_lr("cosine_with_restarts", 1000, 60, 1000, num_cycles=4),
         "CosineAnnealingWarmRestarts", {"T_0": 235, "T_mult": 1, "eta_min": 0.0}, ("linear", 60)),
    Made("HF cosine with uneven restarts", lambda: lib.transformers_lr(
        "cosine_with_restarts", 1000, 60, 1000, num_cycles=3),
         "CosineAnnealingWarmRestarts", {"T_0": 940 / 3, "T_mult": 1}, ("linear", 60)),
    Made("HF polynomial", lambda: lib.transformers_lr("polynomial", 1000, 60, 1000, power=2.0), "PolynomialLR",
         {"total_iters": 940, "power": 2.0}, ("linear", 60)),
    Made("HF polynomial of power one", lambda: lib.transformers_lr("polynomial", 1000, 60, 1000, lr_end=1e-5), LIN,
         {"total_iters": 940, "end_factor": 0.01}, ("linear", 60)),
    Made("HF constant", lambda: lib.transformers_lr("constant", 300, 60, 1000), "Constant"),
    Made("HF constant with warmup", lambda: lib.transformers_lr("constant_with_warmup", 1000, 60, 1000), "Constant", {},
         ("linear", 60)),
    Made("HF inverse_sqrt", lambda: lib.transformers_lr("inverse_sqrt", 1000, 60, 1000), "InverseSqrt",
         {"timescale": 60}, ("linear", 60)),
    Made("HF inverse_sqrt with a timescale", lambda: lib.transformers_lr(
        "inverse_sqrt", 1000, 60, 1000, timescale=500), "InverseSqrt", {"timescale": 500}, ("linear", 60)),
    Made("HF cosine_with_min_lr", lambda: lib.transformers_lr("cosine_with_min_lr", 1000, 60, 1000, min_lr=1e-4), COS,
         {"T_max": 940, "eta_min": 1e-4}, ("linear", 60)),
    Made("HF cosine_warmup_with_min_lr", lambda: lib.transformers_lr(
        "cosine_warmup_with_min_lr", 1000, 60, 1000, min_lr=1e-4), COS, {"T_max": 940, "eta_min": 1e-4},
         ("linear", 60)),
    *(Made(f"HF warmup_stable_decay {kind} {decay} {low}", lambda kind=kind, decay=decay, low=low: lib.transformers_lr(
        "warmup_stable_decay", 1000, 60, 1000, num_decay_steps=200, warmup_type=kind, decay_type=decay,
        min_lr_ratio=low), "WarmupStableDecay",
        {"num_stable_steps": 740, "num_decay_steps": 200, "decay_type": decay, "min_lr_ratio": low}, (kind, 60))
      for kind in ("linear", "cosine", "1-sqrt") for decay in ("linear", "cosine", "1-sqrt") for low in (0.0, 0.1)),
]  # fmt: skip
TIMM_WARM = {"warmup_t": 5, "warmup_lr_init": 1e-5}
TIMM = [
    Made("timm cosine", lambda: lib.timm_lr("cosine_lr", "CosineLRScheduler", 110, t_initial=100, lr_min=1e-6,
                                            **TIMM_WARM), COS, {"T_max": 100, "eta_min": 1e-6}, ("linear", 5),
         "epoch", EPOCHS),
    Made("timm cosine with prefix", lambda: lib.timm_lr(
        "cosine_lr", "CosineLRScheduler", 110, t_initial=100, lr_min=1e-6, warmup_prefix=True, **TIMM_WARM),
         COS, {"T_max": 100, "eta_min": 1e-6}, ("linear", 5), "epoch", EPOCHS),
    Made("timm cosine with k-decay", lambda: lib.timm_lr(
        "cosine_lr", "CosineLRScheduler", 100, t_initial=100, lr_min=1e-6, k_decay=1.5, **TIMM_WARM),
         COS, {"T_max": 100, "eta_min": 1e-6, "k_decay": 1.5}, ("linear", 5), "epoch", EPOCHS),
    Made("timm cosine cycles", lambda: lib.timm_lr(
        "cosine_lr", "CosineLRScheduler", 150, t_initial=50, lr_min=1e-6, cycle_limit=3, cycle_decay=0.5, **TIMM_WARM),
         "CosineAnnealingWarmRestarts", {"T_0": 50, "T_mult": 1}, ("linear", 5), "epoch", EPOCHS),
    Made("timm step", lambda: lib.timm_lr("step_lr", "StepLRScheduler", 100, decay_t=30, decay_rate=0.1,
                                          warmup_prefix=False, **TIMM_WARM), "StepLR",
         {"step_size": 30, "gamma": 0.1}, ("linear", 5), "epoch", EPOCHS),
    Made("timm multistep", lambda: lib.timm_lr("multistep_lr", "MultiStepLRScheduler", 100, decay_t=[30, 70],
                                               decay_rate=0.1, warmup_prefix=False, **TIMM_WARM), "MultiStepLR",
         {"milestones": [30, 70], "gamma": 0.1}, ("linear", 5), "epoch", EPOCHS),
    Made("timm poly", lambda: lib.timm_lr("poly_lr", "PolyLRScheduler", 100, t_initial=100, lr_min=1e-5, power=0.1,
                                          **TIMM_WARM), "PolynomialLR",
         {"total_iters": 100, "power": 0.1, "eta_min": 1e-5}, ("linear", 5), "epoch", EPOCHS),
    Made("timm poly without warmup", lambda: lib.timm_lr("poly_lr", "PolyLRScheduler", 100, t_initial=100, power=0.5),
         "PolynomialLR", {"total_iters": 100, "power": 0.5}, None, "epoch", EPOCHS),
    *(Made(f"timm wsd {decay}", lambda decay=decay: lib.timm_lr(
        "wsd_lr", "WSDLRScheduler", 105, t_initial=100, decay_t=30, decay_fn=decay, **TIMM_WARM), "WarmupStableDecay",
        {"num_stable_steps": 70, "num_decay_steps": 30}, ("linear", 5), "epoch", EPOCHS)
      for decay in ("linear", "1-sqrt", "cosine", "exp")),
]  # fmt: skip
N = 50
PER_EPOCH = {"steps_per_epoch": float(N)}
MMENGINE = [
    Made("mmengine 1x", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 100}),
        ("MultiStepLR", {"by_epoch": True, "begin": 0, "end": 12, "milestones": [8, 11], "gamma": 0.1})], 12, N, 0.02),
         "MultiStepLR", {"milestones": [8, 11], "gamma": 0.1}, ("linear", 99), "epoch", PER_EPOCH),
    Made("mmengine cosine by epoch", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 0.01, "by_epoch": True, "begin": 0, "end": 5}),
        ("CosineAnnealingLR", {"T_max": 25, "by_epoch": True, "begin": 5, "end": 30})], 30, N),
         COS, {"T_max": 25}, ("linear", 5), "epoch", PER_EPOCH),
    Made("mmengine cosine converted to iterations", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 0.01, "by_epoch": True, "begin": 0, "end": 2, "convert_to_iter_based": True}),
        ("CosineAnnealingLR", {"T_max": 10, "eta_min": 1e-5, "by_epoch": True, "begin": 2, "end": 12,
                               "convert_to_iter_based": True}),
    ], 12, N), COS, {"T_max": 500, "eta_min": 1e-5}, ("linear", 100), "update", PER_EPOCH),
    Made("mmseg poly", lambda: lib.mmengine_lr([
        ("PolyLR", {"eta_min": 1e-4, "power": 0.9, "begin": 0, "end": 800, "by_epoch": False})], 16, N),
         "PolynomialLR", {"total_iters": 799, "power": 0.9, "eta_min": 1e-4}, None, "update", PER_EPOCH),
    Made("mmseg poly after a warmup", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 1e-6, "by_epoch": False, "begin": 0, "end": 150}),
        ("PolyLR", {"eta_min": 0.0, "power": 1.0, "begin": 150, "end": 800, "by_epoch": False})], 16, N, 6e-5),
         LIN, {"total_iters": 649, "end_factor": 0.0}, ("linear", 150), "update", PER_EPOCH),
    Made("mmengine warmup over a running cosine", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 0.01, "by_epoch": False, "begin": 0, "end": 101}),
        ("CosineAnnealingLR", {"T_max": 800, "by_epoch": False, "begin": 0, "end": 800})], 16, N),
         COS, {"T_max": 800}, ("linear", 100), "update", PER_EPOCH),
    Made("mmengine cosine restarts", lambda: lib.mmengine_lr([
        ("CosineRestartLR", {"periods": [200, 200, 200, 200], "restart_weights": [1, 1, 1, 1], "eta_min": 1e-5,
                                 "by_epoch": False})], 16, N),
         "CosineAnnealingWarmRestarts", {"T_0": 200, "T_mult": 1, "eta_min": 1e-5}, None, "update", PER_EPOCH),
    Made("mmengine warmup, constant, cosine", lambda: lib.mmengine_lr([
        ("LinearLR", {"start_factor": 1e-5, "by_epoch": False, "begin": 0, "end": 20}),
        ("CosineAnnealingLR", {"T_max": 10, "eta_min": 2e-4, "by_epoch": True, "begin": 10, "end": 20,
                                   "convert_to_iter_based": True})], 20, N, 4e-3),
         "WarmupStableDecay", {"num_decay_steps": 500, "decay_type": "cosine", "min_lr_ratio": 0.05}, ("linear", 19),
         "update", PER_EPOCH),
]  # fmt: skip
OTHERS = [
    Made("fairseq inverse_sqrt", lambda: lib.of_steps(lambda n: lib.fairseq_inverse_sqrt(n, 5e-4, 400, 1e-7), 2000),
         "InverseSqrt", {"timescale": 400}, ("linear", 400)),
    Made("fairseq polynomial_decay", lambda: lib.of_steps(lambda n: lib.fairseq_polynomial(n, 5e-4, 100, 2000), 2000),
         LIN, {"total_iters": 1900, "end_factor": 0.0}, ("linear", 100)),
    Made("fairseq polynomial_decay squared", lambda: lib.of_steps(
        lambda n: lib.fairseq_polynomial(n, 5e-4, 100, 2000, 1e-6, 2.0), 2000),
         "PolynomialLR", {"total_iters": 1900, "power": 2.0, "eta_min": 1e-6}, ("linear", 100)),
    Made("fairseq tri_stage", lambda: lib.of_steps(
        lambda n: lib.fairseq_tri_stage(n, 5e-5, (100, 400, 500), final=0.05), 1000), "WarmupStableDecay",
         {"num_stable_steps": 400, "num_decay_steps": 500, "decay_type": "exponential", "min_lr_ratio": 0.05},
         ("linear", 100)),
    *(Made(f"torchtitan {kind}", lambda kind=kind: lib.of_steps(
        lambda k: lib.torchtitan(k, 8e-4, 100, 1000, 0.2, kind, 0.1), 1000), "WarmupStableDecay",
        {"num_decay_steps": 200, "min_lr_ratio": 0.1}, ("linear", 100)) for kind in ("linear", "sqrt", "cosine")),
    Made("torchtitan without a stable part", lambda: lib.of_steps(
        lambda k: lib.torchtitan(k, 8e-4, 100, 1000, None, "linear"), 1000), LIN,
         {"total_iters": 900, "end_factor": 0.0}, ("linear", 100)),
    Made("axolotl quadratic warmup", lambda: lib.of_steps(
        lambda k: 1e-3 * ((k / 80) ** 2 if k < 80 else 0.5 * (1 + math.cos(math.pi * (k - 80) / 920))), 1000),
         COS, {"T_max": 920}, ("quadratic", 80)),
    Made("axolotl cosine that holds its floor", lambda: lib.of_steps(
        lambda k: 1e-3 * (k / 80 if k < 80 else 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min((k - 80) / 720, 1.0)))),
        1000), COS, {"T_max": 720, "eta_min": 1e-4}, ("linear", 80)),
    Made("axolotl one_cycle", lambda: lib.torch_lr(
        lambda o: t.OneCycleLR(o, 1e-3, total_steps=1000, pct_start=0.08), 1000), "OneCycleLR",
         {"total_steps": 1000, "pct_start": 0.08, "max_lr": 1e-3}),
    Made("DeepSpeed WarmupLR", lambda: lib.of_steps(lambda k: lib.deepspeed_warmup(k, 1e-3, 200), 1000), "Constant", {},
         ("log", 200)),
    Made("DeepSpeed WarmupLR from above zero", lambda: lib.of_steps(
        lambda k: lib.deepspeed_warmup(k, 1e-3, 200, low=1e-5), 1000), "Constant", {}, ("log", 200)),
    Made("DeepSpeed WarmupDecayLR", lambda: lib.of_steps(
        lambda k: lib.deepspeed_warmup_decay(k, 1e-3, 200, 1000), 1000), LIN, {"total_iters": 800}, ("log", 200)),
    Made("DeepSpeed WarmupDecayLR, linear", lambda: lib.of_steps(
        lambda k: lib.deepspeed_warmup_decay(k, 1e-3, 200, 1000, "linear"), 1000), LIN, {"total_iters": 800},
         ("linear", 200)),
    *(Made(f"Ultralytics {group} {'cosine' if cos else 'linear'} nw {nw}",
           lambda group=group, cos=cos, nw=nw: lib.of_steps(
               lambda e: lib.ultralytics(e, group, 0.01, 0.01, 100, 40, nw, cos), 100),
           COS if cos else LIN, {"T_max": 100} if cos else {"total_iters": 100}, ("linear", nw / 40), "epoch", EPOCHS)
      for group in ("weights", "bias") for cos in (False, True) for nw in (120, 400)),
    *(Made(f"YOLOv5 {group}", lambda group=group: lib.of_steps(
        lambda e: lib.yolov5(e, group, 0.01, 0.1, 100, 170, 1000), 100), COS, {"T_max": 100, "eta_min": 1e-3},
        ("linear", 1000 / 170), "epoch", EPOCHS) for group in ("weights", "bias")),
    Made("detectron2 cosine", lambda: lib.of_steps(
        lambda it: lib.detectron2_cosine(it, 1e-3, 2000, 200, 0.001), 2000), COS, {"T_max": 2000}, ("linear", 200)),
    Made("detectron2 steps", lambda: lib.of_steps(
        lambda it: lib.detectron2_steps(it, 1e-3, 2000, 200, (1200, 1800), 0.001), 2000), "MultiStepLR",
         {"milestones": [1000, 1600], "gamma": 0.1}, ("linear", 200)),
    *(Made(f"mmcv {kind} warmup over poly", lambda kind=kind: lib.of_steps(
        lambda it: lib.mmcv_warmup(it, (0.01 - 1e-4) * (1 - it / 2000) ** 0.9 + 1e-4, kind, 150, 0.1), 2000),
        "PolynomialLR", {"total_iters": 2000, "power": 0.9, "eta_min": 1e-4}, (label, 150))
      for kind, label in (("linear", "linear"), ("exp", "exponential"), ("constant", "constant"))),
    Made("mmcv steps by epoch behind an exponential warmup", lambda: lib.of_steps(
        lambda it: lib.mmcv_warmup(it, 0.01 * 0.1 ** ((it // N >= 8) + (it // N >= 11)), "exp", 60, 0.01), 12 * N),
         "MultiStepLR", {"milestones": [8, 11]}, ("exponential", 60), "epoch", PER_EPOCH),
    Made("nanoGPT", lambda: lib.of_steps(lambda it: lib.nanogpt(it, 6e-4, 100, 1000, 6e-5), 1001), COS,
         {"T_max": 900, "eta_min": 6e-5}, ("linear", 100)),
    Made("Megatron cosine", lambda: lib.of_steps(lambda n: lib.megatron(n, 3e-4, 100, 1000, 3e-5, "cosine"), 1000), COS,
         {"T_max": 900, "eta_min": 3e-5}, ("linear", 100)),
    Made("Megatron inverse square root", lambda: lib.of_steps(
        lambda n: lib.megatron(n, 3e-4, 100, 2000, 0.0, "inverse-square-root"), 1000), "InverseSqrt",
         {"timescale": 100}, ("linear", 100)),
    *(Made(f"Megatron WSD {decay}", lambda decay=decay: lib.of_steps(
        lambda n: lib.megatron(n, 3e-4, 100, 1000, 3e-5, "WSD", 200, decay), 1000), "WarmupStableDecay",
        {"num_stable_steps": 700, "num_decay_steps": 200, "min_lr_ratio": 0.1}, ("linear", 100))
      for decay in ("linear", "cosine", "exponential", "minus_sqrt")),
]  # fmt: skip
MADE = [*TORCH, *TRANSFORMERS, *TIMM, *MMENGINE, *OTHERS]
UNKNOWN = [
    Made("axolotl rex", lambda: lib.of_steps(
        lambda k: 1e-3 * (k / 80 if k < 80 else (1 - (k - 80) / 920) / (0.1 + 0.9 * (1 - (k - 80) / 920))), 1000),
         "Unknown"),
    Made("timm tanh", lambda: lib.timm_lr("tanh_lr", "TanhLRScheduler", 100, t_initial=100, lr_min=1e-6), "Unknown",
         known=EPOCHS),
    Made("a random walk", lambda: 1e-3 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, 500))), "Unknown"),
]  # fmt: skip


def read(made: Made, logged: Callable[..., Trajectory]) -> Any:
    lead = identify(logged(made.lr(), **made.known)).lead
    assert lead is not None
    assert len(lead.fits) == 1, [fit.family for fit in lead.fits]
    return lead.fit


@pytest.mark.parametrize("made", MADE, ids=[made.name for made in MADE])
def test_recognised(made: Made, logged: Callable[..., Trajectory]) -> None:
    fit = read(made, logged)
    assert fit.family == made.family
    found = fit.schedule.params()
    for name, value in made.params.items():
        if isinstance(value, str | bool):
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(value, rel=TOLERANCE, abs=1e-9), name
    if made.warmup is None:
        assert fit.warmup is None
    else:
        assert fit.warmup is not None
        assert fit.warmup.kind == made.warmup[0]
        assert fit.warmup.steps == pytest.approx(made.warmup[1], abs=1.01)
    assert fit.stepped == made.stepped
    assert fit.exact
    assert fit.confidence >= 0.5


@pytest.mark.parametrize("made", UNKNOWN, ids=[made.name for made in UNKNOWN])
def test_no_family_is_claimed_where_none_fits(made: Made, logged: Callable[..., Trajectory]) -> None:
    lead = identify(logged(made.lr(), **made.known)).lead
    assert lead is not None
    assert all(fit.family == "Unknown" or fit.confidence < 0.5 for fit in lead.fits)

"""What `lrdoctor.guard` costs a training: the hook at every update, and the looks, as a share of a 1 ms update.

    python bench/guard.py [--updates 20000]
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median

import torch

import lrdoctor

STEP = 1e-3  # seconds: what one update is taken to last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=20_000)
    updates = parser.parse_args().updates
    torch.set_num_threads(1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    warnings.simplefilter("ignore")
    watch = lrdoctor.guard(optimizer, scheduler, total_steps=updates, steps_per_epoch=updates, interval="update")
    calls = []
    for _ in range(updates):
        begun = time.perf_counter()
        watch._before_update(optimizer, (), {})
        calls.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    watch.look()
    look = time.perf_counter() - begun
    print(f"hook: {median(calls) / STEP:.2%} of a 1 ms update (median of {updates:,})")
    print(f"a look after {updates:,} updates lasts {look / STEP:,.0f} of them; later looks may take 1 % of the time")


if __name__ == "__main__":
    main()

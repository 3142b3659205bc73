"""What `lrdoctor.guard` costs a training whose updates take 1 ms: the hook at every update, and the looks.

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
    watch = lrdoctor.guard(optimizer, scheduler, total_steps=updates, steps_per_epoch=500, interval="update")
    calls, begun = [], time.perf_counter()
    for update in range(updates):
        called = time.thread_time()  # the processor's time: what else runs on the machine does not count
        watch._before_update(optimizer, (), {})
        calls.append(time.thread_time() - called)
        time.sleep(max(0.0, begun + (update + 1) * STEP - time.perf_counter()))
    lasted = time.perf_counter() - begun
    print(f"hook: {median(calls) / STEP:.2%} of a 1 ms update (median of {updates:,})")
    looks = [call for call in calls if call > STEP]
    print(f"{len(looks)} looks, the longest {max(looks, default=0.0) / STEP:,.0f} updates long")
    print(f"everything: {sum(calls) / lasted:.2%} of {lasted:,.1f} s")


if __name__ == "__main__":
    main()

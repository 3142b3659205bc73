"""Audits of thousands of generated runs: two processes against one, a second audit against the first, and memory.

    python bench/fleet.py [--runs 2000] [--sample 300] [--steps 500] [--rounds 3]

All audits are of the command line, each in a process of its own, with the report and the JSON written.

Two processes against one: the first `--sample` runs without a cache, by turns, the best of each; once by the clock and,
for a machine that is busy with other work, once by CPU seconds: those of the audit's own process and of the busiest one
it started, as if they had waited for each other. The second audit follows a first one of all runs with a new cache,
after one run's log has grown. Memory is the largest resident set of any one process of an audit, as the kernel counts
it (Linux alone), of a tenth of the runs and of all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from fleet_runs import write_fleet


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds, and the largest resident set of the audit's own process and of any that it started, in MB.

    `cpu` is the CPU seconds of the audit's own process, and those of the busiest it started.
    """

    seconds: float
    own: float
    started: float
    cpu: tuple[float, float]

    @property
    def memory(self) -> str:
        return f"at most {self.own:.0f} MB in its own process, {self.started:.0f} MB in another"


def audit(folder: Path, out: Path, jobs: int, cache: Path | None) -> Took:
    """One audit; 0 and 1 are the exit statuses of one that went well."""
    kept = ("--cache", str(cache)) if cache is not None else ("--no-cache",)
    command = (
        *(sys.executable, "-m", "lrdoctor", "audit", str(folder), "--jobs", str(jobs), *kept, "--quiet"),
        *("--report", str(out / "report"), "--format", "json", "--output", str(out / "audit.json")),
    )
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks: dict[int, float] = {}
    cpu: dict[int, float] = {}
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peaks, cpu, done))
    watch.start()
    status = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watch.join()
    if status not in (0, 1):
        raise SystemExit(f"the audit failed with status {status}")
    own, busy = peaks.pop(process.pid, 0.0), cpu.pop(process.pid, 0.0)
    return Took(seconds, own, max(peaks.values(), default=0.0), (busy, max(cpu.values(), default=0.0)))


def _watch(root: int, peaks: dict[int, float], cpu: dict[int, float], done: threading.Event) -> None:
    while not done.wait(0.2):
        for process in _family(root):
            peaks[process] = max(peaks.get(process, 0.0), _peak(process))
            cpu[process] = max(cpu.get(process, 0.0), _cpu(process))


def _family(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    family = {root}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _peak(process: int) -> float:
    """The largest resident set so far, in MB."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(line.split()[1]) / 1000 for line in found), 0.0)


def _cpu(process: int) -> float:
    """CPU seconds so far."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def part(folder: Path, count: int, to: Path) -> Path:
    """A folder with the first so many runs of another one."""
    for run in sorted(folder.glob("*/*"))[:count]:
        shutil.copytree(run, to / run.parent.name / run.name)
    return to


def two_against_one(folder: Path, work: Path, rounds: int) -> None:
    taken = [{jobs: audit(folder, work / "two", jobs, None) for jobs in (1, 2)} for _ in range(rounds)]
    wall = {jobs: min(one[jobs].seconds for one in taken) for jobs in (1, 2)}
    cpu = {jobs: min(sum(one[jobs].cpu) for one in taken) for jobs in (1, 2)}
    for what, found in (("by the clock", wall), ("by CPU seconds", cpu)):
        told = f"{found[1]:.1f} s against {found[2]:.1f} s"
        print(f"two processes, {what}: {found[1] / found[2]:.2f} x as fast as one ({told})", flush=True)


def first_and_second(folder: Path, work: Path, jobs: int) -> None:
    cache = work / "cache"
    first = audit(folder, work / "all", jobs, cache)
    before = (work / "all" / "audit.json").read_bytes()
    print(f"first audit: {first.seconds:.1f} s; {first.memory}", flush=True)
    log = sorted(folder.glob("*/*/metrics.csv"))[0]
    log.write_text(log.read_text("utf-8") + log.read_text("utf-8").splitlines()[-1] + "\n", "utf-8")
    time.sleep(2.5)  # a file written this moment is not yet known by its time
    second = audit(folder, work / "all", jobs, cache)
    changed = before != (work / "all" / "audit.json").read_bytes()
    print(f"second audit, one run changed: {first.seconds / second.seconds:.0f} x as fast ({second.seconds:.2f} s)")
    print(f"  {second.memory}; the answer {'changed' if changed else 'did not change'}", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=2000)
    asked.add_argument("--sample", type=int, default=300)
    asked.add_argument("--steps", type=int, default=500)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--jobs", type=int, default=2)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="lrdoctor-bench-") as name:
        work = Path(name)
        write_fleet(work / "runs", given.runs, given.steps)
        if given.rounds:
            two_against_one(part(work / "runs", given.sample, work / "sample"), work, given.rounds)
        small = audit(part(work / "runs", given.runs // 10, work / "tenth"), work / "small", given.jobs, work / "other")
        print(f"{given.runs // 10} runs: {small.memory}", flush=True)
        first_and_second(work / "runs", work, given.jobs)


if __name__ == "__main__":
    main()

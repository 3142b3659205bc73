"""Reads every hostile file in a process of its own, and tells as JSON what came of each.

    python worker.py FOLDER

The parent imports the readers and reads a harmless file of each kind first; what a child imports, opens for writing or
starts after that, the file made it do.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import CASES, EVIL_MODULE, SENTINEL, Case, beside_a_log, event, every_case, framed, state, zipped

SECONDS = 20  # of processor time; generous, as many run beside other work
MEMORY = 2 << 30  # bytes beyond what the process has when it starts to read
WATCHED = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "socket.", "shutil.",
           "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.putenv", "pty.spawn",
           "ctypes.", "marshal.", "pickle.find_class", "code.__new__", "webbrowser", "urllib.")  # fmt: skip


def read_all(path: Path) -> dict[str, Any]:
    """What an audit would do with the path, up to the numbers; every message, and how many points there were."""
    from lrdoctor.errors import LrdoctorError, ReadError
    from lrdoctor.readers.checkpoint_hints import checkpoint_hints
    from lrdoctor.readers.discover import discover
    from lrdoctor.readers.load import load

    messages: list[str] = []
    points = checkpoints = 0
    try:
        found = discover([str(path)])
        messages += [f"{item.path}: {item.reason}" for item in found.skipped]
        for files in found.runs:
            try:
                run = load(files)
            except ReadError as error:
                messages.append(str(error))
                continue
            messages += [f"{note.path}: {note}" for source in run.sources for note in source.notes]
            points += sum(len(series) for series in run.series)
            checkpoints += len(run.checkpoints)
            for checkpoint in run.checkpoints:
                messages += [str(note) for note in checkpoint.notes]
                list(checkpoint_hints(checkpoint.path))
    except LrdoctorError as error:
        messages.append(str(error))
    return {"messages": messages, "points": points, "checkpoints": checkpoints}


def warm(folder: Path) -> None:
    """Load what the readers load by themselves, down to the modules they import when first used."""
    folder.mkdir()
    beside_a_log(folder, "lr: 0.5\n")
    (folder / "metrics.csv").write_text("step,lr\n0,inf\n1,0.1\n", encoding="utf-8")  # inf: pandas is asked
    (folder / "log.jsonl").write_text('{"step": 1, "lr": 0.1}\n' * 3, encoding="utf-8")
    (folder / "train.log").write_text("step: 1, lr: 0.1, loss: 2\n" * 3, encoding="utf-16")
    (folder / "trainer_state.json").write_text(
        '{"global_step": 1, "log_history": [{"step": 1, "lr": 1}]}', encoding="utf-8"
    )
    (folder / "events.out.tfevents.1.h.1.0").write_bytes(framed(event(b"lr", 0.5, 1)) * 9)
    zipped(folder / "last.pt", state(b"N"))
    read_all(folder)


def unpickle(path: Path) -> dict[str, Any]:
    """What no reader may do: the control that shows that harm is noticed."""
    pickle.loads(path.read_bytes())
    return {"messages": [], "points": 0, "checkpoints": 0}


def in_a_child(path: Path, answer: Path, read: Callable[[Path], dict[str, Any]]) -> None:
    """Never returns: reads under limits, with the interpreter's audit events recorded."""
    events: list[str] = []
    known = set(sys.modules)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "import" and arguments[0] not in known:
            events.append(f"import {arguments[0]}")
        elif name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            events.append(f"open {arguments[0]} {arguments[1]}")
        elif name in ("exec", "compile"):
            events.append(f"{name} {getattr(arguments[0], 'co_filename', arguments[-1])}")
        elif name.startswith(WATCHED):
            events.append(f"{name} {arguments!r}"[:200])

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(6 * SECONDS)  # waiting costs no processor time
    start = time.process_time()
    sys.addaudithook(hook)
    try:
        found = read(path)
    except BaseException as error:
        found = {"messages": [], "points": 0, "checkpoints": 0, "crash": f"{type(error).__name__}: {error}"}
    told = events.copy()  # before the answer itself is opened for writing
    found |= {"events": told, "seconds": time.process_time() - start}
    answer.write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)


def examine(name: str, case: Case, folder: Path, read: Callable[[Path], dict[str, Any]] = read_all) -> dict[str, Any]:
    home = folder / name
    home.mkdir()
    path = case.build(home)
    answer = folder / f"{name}.json"
    child = os.fork()
    if child == 0:
        in_a_child(path, answer, read)
    _, status = os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    killed = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None
    executed = [str(place) for place in (Path(SENTINEL), home / SENTINEL, folder / SENTINEL) if place.exists()]
    for place in executed:
        Path(place).unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    return {**found, "killed": killed, "executed": executed}


def main(folder: Path) -> None:
    os.chdir(folder)
    harm = f"open({str(folder / SENTINEL)!r}, 'w').close()"
    methods = "".join(f"    def {name}(self, *given):\n        {harm}\n" for name in ("__init__", "__setstate__"))
    (folder / f"{EVIL_MODULE}.py").write_text(f"{harm}\nclass Evil:\n{methods}", encoding="utf-8")
    sys.path.insert(0, str(folder))
    warm(folder / "warm")
    outcomes = {name: examine(name, case, folder) for name, case in every_case()}
    for name in ("pickle_reduce", "pickle_build_with_setstate"):
        outcomes[f"control of {name}"] = examine(f"control_{name}", CASES[name], folder, unpickle)
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Paths -> the files to look at: a file as it is named, below a folder what may be a config and git does not ignore."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from lrdoctor.configs.read import KINDS

_LEFT_OUT = {"node_modules", "__pycache__", "site-packages", "venv", "wandb", "mlruns"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at; `named` where the user gave its very path."""

    path: Path
    named: bool


def find_configs(paths: Sequence[str], exclude: Sequence[str] = (), *, always: bool = False) -> list[Candidate]:
    """The candidates below `paths`, sorted and each once. `exclude` are patterns as in .gitignore.

    `always` applies them to named files too, as a tool that hands over single files wants.
    """
    excluded = _Patterns(exclude)
    found: dict[Path, Candidate] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            for file in _walk(path, excluded):
                found.setdefault(file, Candidate(file, False))
        elif not (always and excluded.match(name, folder=False)):
            found[path] = Candidate(path, True)
    return sorted(found.values(), key=lambda item: item.path.as_posix())


def _walk(top: Path, excluded: _Patterns) -> Iterator[Path]:
    ignores = _Ignores(top)
    for folder, names, files in os.walk(top):
        here, full = Path(folder), Path(folder).resolve()
        ignores.enter(full)
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".")
            and name not in _LEFT_OUT
            and not (here / name / "pyvenv.cfg").exists()
            and not ignores.match(full / name, folder=True)
            and not excluded.match((here / name).as_posix(), folder=True)
        )
        for name in sorted(files):
            path = here / name
            fits = path.suffix.lower() in KINDS and not ignores.match(full / name, folder=False)
            if fits and not excluded.match(path.as_posix(), folder=False):
                yield path


class _Patterns:
    """Patterns of .gitignore's kind over paths as they are shown."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._spec = _compiled(lines) if lines else None

    def match(self, path: str, *, folder: bool) -> bool:
        return self._spec is not None and self._spec.match_file(f"{path}/" if folder else path)


class _Ignores:
    """The .gitignore files that hold for a walk: those above its top up to the repository's root, and those below.

    A top that is itself ignored was named on purpose: then those above it are set aside.
    """

    def __init__(self, top: Path) -> None:
        self._specs: list[tuple[str, GitIgnoreSpec]] = []
        resolved = top.resolve()
        above = []
        for folder in (resolved, *resolved.parents):
            above.append(folder)
            if (folder / ".git").exists():
                for one in reversed(above[1:]):
                    self._add(one)
                break
        if self.match(resolved, folder=True):
            self._specs = []

    def enter(self, folder: Path) -> None:
        self._add(folder)

    def match(self, path: Path, *, folder: bool) -> bool:
        """Of several patterns that fit the last decides, as git has it; `path` is resolved."""
        if not self._specs:
            return False
        full = path.as_posix()
        verdict = False
        for base, spec in self._specs:
            if full.startswith(base):
                below = full[len(base) :] + ("/" if folder else "")
                told = spec.check_file(below).include
                verdict = verdict if told is None else told
        return verdict

    def _add(self, folder: Path) -> None:
        file = folder / ".gitignore"
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            self._specs.append((f"{folder.as_posix()}/", _compiled(lines)))


def _compiled(lines: Sequence[str]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(lines)

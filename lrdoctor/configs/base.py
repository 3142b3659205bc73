"""What a config was before: at a git revision, or in another file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lrdoctor.configs.context import Context
from lrdoctor.configs.read import NotAConfig, read_plans
from lrdoctor.errors import UsageError
from lrdoctor.model.plan import Plan


@dataclass(slots=True)
class Bases:
    """`against` a revision or a file to compare with; `only_changed` a revision whose differences alone are wanted.

    Of a branch that has moved on, the commit counts at which the present one left it: what others changed there since
    is no change of this one.
    """

    against: str | None = None
    only_changed: str | None = None
    _changed: dict[tuple[Path, str], frozenset[Path]] = field(default_factory=dict)
    _roots: dict[Path, Path] = field(default_factory=dict)
    _forks: dict[tuple[Path, str], str] = field(default_factory=dict)

    def wanted(self, path: Path) -> bool:
        """Whether the file belongs to what is checked."""
        return self.only_changed is None or self._differs(path, self.only_changed)

    def plans(self, path: Path, context: Context) -> list[Plan]:
        """The plans of the file it is compared with; none where there is nothing to compare."""
        if self.against is None:
            return []
        other = Path(self.against)
        try:
            if other.is_file():
                return _plans(other, other.read_bytes(), context)
            data = self._before(path, self.against) if self._differs(path, self.against) else None
            return [] if data is None else _plans(path, data, context)
        except NotAConfig:
            return []

    def _differs(self, path: Path, revision: str) -> bool:
        root = self._root(path)
        known = (root, revision)
        if known not in self._changed:
            listed = _git(root, "diff", "--name-only", "-z", "--relative", self._fork(root, revision), "--")
            new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
            names = [name for name in (*listed.split("\0"), *new.split("\0")) if name]
            self._changed[known] = frozenset(root / name for name in names)
        return path.resolve() in self._changed[known]

    def _before(self, path: Path, revision: str) -> bytes | None:
        root = self._root(path)
        name = path.resolve().relative_to(root).as_posix()
        done = _run(root, "show", f"{self._fork(root, revision)}:{name}")
        return done.stdout if done.returncode == 0 else None

    def _fork(self, root: Path, revision: str) -> str:
        """Where HEAD left the revision; the revision itself where the two share no history that is at hand."""
        if (root, revision) not in self._forks:
            done = _run(root, "merge-base", _safe(revision), "HEAD")
            self._forks[root, revision] = done.stdout.decode().strip() if done.returncode == 0 else revision
        return self._forks[root, revision]

    def _root(self, path: Path) -> Path:
        folder = path.resolve().parent
        if folder not in self._roots:
            self._roots[folder] = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
        return self._roots[folder]


def _plans(path: Path, data: bytes, context: Context) -> list[Plan]:
    return [plan for plan in read_plans(path, data, context) if isinstance(plan, Plan)]


def _safe(revision: str) -> str:
    """A revision that git cannot take for an option."""
    if revision.startswith("-"):
        raise UsageError("This is no git revision.", where=revision)
    return revision


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UsageError("git is needed to compare with a revision, and is not installed.") from error


def _git(folder: Path, *arguments: str) -> str:
    done = _run(folder, *arguments)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            "The git revision cannot be compared with.",
            where=str(folder),
            why=why[0] if why else None,
            hint="name a file or a revision of the repository the configs are in; CI checkouts need `fetch-depth: 0`",
        )
    return done.stdout.decode(errors="surrogateescape")

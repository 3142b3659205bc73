"""A folder of rule files -> rules. The built-in folder and a user's go through here alike."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from lrdoctor.engine.page import parse_page
from lrdoctor.engine.rule import Rule
from lrdoctor.errors import RuleFileError


def load_rules(folders: Sequence[Path]) -> tuple[Rule, ...]:
    """The rules of every folder (or single rule file), sorted by code.

    Files whose name starts with an underscore are helpers and left alone. Raises RuleFileError for a folder that does
    not exist or holds no rule, for a file that cannot be run, and for a code or name that is taken.
    """
    found = [rule for folder in folders for file in rule_files(folder) for rule in load_file(file)]
    _check_unique(found)
    return tuple(sorted(found, key=lambda rule: rule.code))


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder, by name; a single file stands for itself."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise RuleFileError("No such rule folder.", where=str(folder), hint="check the path given as --rules")
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    if not files:
        raise RuleFileError("The folder holds no rule file.", where=str(folder), hint="a rule file ends in .py")
    return files


def load_file(path: Path) -> tuple[Rule, ...]:
    """The rules of one file, with its docstring as their page and its CASES beside them."""
    module = _run(path)
    rules = [value for value in vars(module).values() if isinstance(value, Rule) and _defined_in(value, module)]
    if not rules:
        raise RuleFileError(
            "The rule file defines no rule.",
            where=str(path),
            hint="decorate a function with @lrdoctor.rule, or start a helper's file name with an underscore",
        )
    page, cases = parse_page(module.__doc__), tuple(getattr(module, "CASES", ()))
    return _paired([replace(rule, page=page, cases=cases, path=str(path)) for rule in rules])


def _paired(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """A check of runs and a check of configs with one code become one rule."""
    pairs: dict[str, list[Rule]] = {}
    for rule in rules:
        pairs.setdefault(rule.code, []).append(rule)
    paired: list[Rule] = []
    for pair in pairs.values():
        pair.sort(key=lambda rule: rule.checks_configs)
        if [rule.checks_configs for rule in pair] == [False, True]:
            paired.append(replace(pair[0], twin=pair[1]))
        else:
            paired += pair
    return tuple(paired)


def _defined_in(rule: Rule, module: ModuleType) -> bool:
    return rule.check.__module__ == module.__name__


def _run(path: Path) -> ModuleType:
    """Execute the file as a module of its own. Registered first: a dataclass in it looks its module up."""
    spec = _spec(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except RuleFileError as error:
        del sys.modules[spec.name]
        raise RuleFileError(error.what, where=_place(path, error), why=error.why, hint=error.hint) from error
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise RuleFileError(
            "The rule file cannot be loaded.",
            where=_place(path, error),
            why=f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}",
            hint=f"run `python {path}` to see the whole error, or leave the folder out",
        ) from error
    return module


def _spec(path: Path) -> ModuleSpec:
    mark = hashlib.sha1(str(path.resolve()).encode(), usedforsecurity=False).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"lrdoctor_rules_{mark}_{path.stem}", path)
    if spec is None:
        raise RuleFileError("The file is no Python file.", where=str(path), hint="a rule file ends in .py")
    return spec


def _place(path: Path, error: BaseException) -> str:
    """The file and the line that failed."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = line or (frames[-1] if frames else None)
    return f"{path}, line {line}" if line else str(path)


def _check_unique(rules: Iterable[Rule]) -> None:
    taken: dict[str, Rule] = {}
    for rule in rules:
        for key in (rule.code, rule.name):
            other = taken.setdefault(key, rule)
            if other is not rule:
                raise RuleFileError(
                    f"Two rules are called {key}.",
                    where=rule.path,
                    why=f"the other one is in {other.path}",
                    hint="give one of them another code and name",
                )

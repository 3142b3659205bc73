"""A file -> the plans in it, or what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lrdoctor.configs.context import Context
from lrdoctor.configs.json_tree import is_json_lines, read_json
from lrdoctor.configs.plain import SchemaMap, mapped_plan
from lrdoctor.configs.python_tree import read_python
from lrdoctor.configs.registry import PYTHON_SIGNS, SIGNS, recognise
from lrdoctor.configs.repeats import repeated
from lrdoctor.configs.shell_tree import read_shell
from lrdoctor.configs.toml_tree import read_toml
from lrdoctor.configs.tree import Document, SyntaxProblem
from lrdoctor.configs.yaml_tree import read_yaml
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Broken, Plan

KINDS = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".py": "python",
    ".sh": "shell",
    ".bash": "shell",
    ".slurm": "shell",
    ".sbatch": "shell",
}
MAX_BYTES = 1_000_000
"""Larger files hold data; the largest real config at hand has 25 kB."""


class NotAConfig(Exception):
    """The file is no training config we know; the message says why, as part of a sentence."""


def read_plans(path: Path, data: bytes, context: Context, schema: SchemaMap | None = None) -> list[Plan | Broken]:
    """What the config will do, usually one plan. NotAConfig where it is none.

    With a `schema` its keys are those of the user's own trainer.

    A broken file counts as a config where its text has the signs of one.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise NotAConfig(f"no config is known to end in {path.suffix or 'nothing'}")
    if len(data) > MAX_BYTES:
        raise NotAConfig(f"it has more than {MAX_BYTES:,} bytes, as no config has")
    if schema is None and not (PYTHON_SIGNS if kind == "python" else SIGNS).search(data):
        raise NotAConfig("nothing in it speaks of a learning rate")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        problem = f"the file is no UTF-8 text: {error.reason}"
        return [Broken(str(path), problem, Place(str(path), line, column, line, column + 1))]
    try:
        documents = parse(path, text, kind)
    except SyntaxProblem as error:
        if kind == "json" and is_json_lines(text):
            raise NotAConfig("it holds an object a line, as logs do") from error
        return [Broken(str(path), error.problem, error.place)]
    context = context if context.load is not None else replace(context, load=load)
    plans: list[Plan | Broken] = []
    for document in documents:
        framework = recognise(document) if schema is None else None
        if schema is not None:
            plan = mapped_plan(document, context, schema)
        else:
            plan = framework.plan(document, context) if framework is not None else None
        if plan is not None:
            plans.append(_completed(plan, document))
    if not plans:
        raise NotAConfig("it is no training config of a framework that is known here")
    return plans


def _completed(plan: Plan, document: Document) -> Plan:
    """The plan with keys that stand twice, and with a reason where its numbers make no schedule."""
    ignored = (*plan.ignored, *repeated(document.root, document.kind))
    if plan.make is None or not plan.total.known:
        return replace(plan, ignored=ignored)
    try:
        plan.make(plan.total.low)
    except LookupError as error:
        return replace(plan, ignored=ignored, make=None, unmade=f"it needs {error.args[0]}")
    except (ValueError, TypeError, ArithmeticError) as error:
        return replace(plan, ignored=ignored, make=None, unmade=str(error))
    return replace(plan, ignored=ignored)


def parse(path: Path, text: str, kind: str) -> list[Document]:
    """The documents in a file: one, or one a training command of a shell script. SyntaxProblem where it is broken."""
    where = str(path)
    match kind:
        case "yaml":
            root = read_yaml(text, where)
        case "json":
            root = read_json(text, where)
        case "python":
            root = read_python(text, where)[0]
        case "shell":
            return [Document(where, text, kind, root) for root in read_shell(text, where)]
        case _:
            root = read_toml(text, where)
    return [Document(where, text, kind, root)]


def load(path: Path) -> Document | None:
    """Another file that a config names, parsed; None where it is missing, too large or broken."""
    kind = KINDS.get(path.suffix.lower())
    try:
        if kind is None or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return parse(path, path.read_text(encoding="utf-8-sig"), kind)[0]
    except (OSError, UnicodeDecodeError, SyntaxProblem, IndexError):
        return None

"""A remedy in the words of the framework the run came from, which is where its user will make the change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Remedy
from lrdoctor.report.dialects import accelerate, lightning, mmengine, timm, torch_loop, transformers
from lrdoctor.report.dialects.plan import CannotSayError, Plan, plan_of, torch_lines


@dataclass(frozen=True, slots=True)
class FrameworkCode:
    """`label` heads the code block ("Lightning, configure_optimizers"); `exact` is False where torch code stands in."""

    framework: str
    label: str
    code: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class _Dialect:
    label: str
    write: Callable[[Plan], str]
    instead: Callable[[Plan], str]


_DIALECTS = {
    "lightning": _Dialect("Lightning", lightning.write, torch_lines),
    "transformers": _Dialect("Hugging Face Trainer", transformers.write, transformers.write_own_scheduler),
    "timm": _Dialect("timm", timm.write, torch_lines),
    "mmengine": _Dialect("MMEngine", mmengine.write, torch_lines),
    "accelerate": _Dialect("Accelerate", accelerate.write, torch_lines),
    "torch": _Dialect("PyTorch training loop", torch_loop.write, torch_lines),
}


def framework_code(remedy: Remedy, diagnosis: Diagnosis) -> FrameworkCode | None:
    """The remedy's schedule as the run's framework would be told; None where there is none, or the framework has none.

    Where the framework cannot say it, a comment says why and torch code follows.
    """
    if remedy.schedule is None:
        return None
    try:
        return words_for(diagnosis.run.framework, plan_of(remedy.schedule, diagnosis))
    except CannotSayError:
        return None


def words_for(framework: str | None, plan: Plan) -> FrameworkCode | None:
    """The plan in the framework's words, torch's where none is known; None for a framework without a dialect."""
    framework = framework or "torch"
    dialect = _DIALECTS.get(framework)
    if dialect is None:
        return None
    try:
        return FrameworkCode(framework, dialect.label, dialect.write(plan))
    except CannotSayError as error:
        try:
            return FrameworkCode(framework, dialect.label, f"# {error}\n{dialect.instead(plan)}", exact=False)
        except CannotSayError:
            return None

"""`lrdoctor inspect`: what a checkpoint holds and what a resume would lack."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrdoctor.cli.shared import write_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from lrdoctor.errors import ReadError
    from lrdoctor.model.run import Checkpoint, OptimizerState, SchedulerState

FORMAT_VERSION = 1
_FOLDER_HINT = "give the checkpoint file, or the folder that holds files saved together (scheduler.pt, optimizer.pt)"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoints", metavar="CHECKPOINT...", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer here, not to stdout.")
def command(checkpoints: tuple[str, ...], format_: str, output: Path | None) -> None:
    """Say what each CHECKPOINT (file, or folder of files saved together) holds, executing nothing in it.

    Model, optimizer, scheduler and counters, and what a resume from it would lack.

    A folder of a run stands for all checkpoints below it. Exit status: 0 complete, 1 resume state is missing, 2 usage
    error, 3 a checkpoint cannot be read.
    """
    from lrdoctor.errors import NothingReadableError
    from lrdoctor.readers.resume import missing_parts

    found, failed = _read_all(checkpoints)
    if not found:
        reasons = "; ".join(f"{path}: {_why(error)}" for path, error in failed[:5])
        raise NothingReadableError("No checkpoint could be read.", why=reasons, hint=_FOLDER_HINT)
    if format_ == "json":
        write_answer(_as_json(found, failed), output)
    else:
        _write_text(found, output)
    for path, error in failed:
        click.echo(f"lrdoctor: {path}: {_why(error)}", err=True)
    incomplete = any(missing_parts(checkpoint) for checkpoint in found)
    sys.exit(NothingReadableError.exit_status if failed else int(incomplete))


def _read_all(paths: Sequence[str]) -> tuple[list[Checkpoint], list[tuple[str, ReadError]]]:
    from lrdoctor.errors import ReadError, UsageError
    from lrdoctor.readers.checkpoint import read_checkpoint
    from lrdoctor.readers.storage import exists

    missing = [path for path in paths if not exists(path)]
    if missing:
        raise UsageError("No such file or folder.", where=missing[0], hint="check the spelling")
    found, failed = [], []
    for path in dict.fromkeys(one for given in paths for one in _checkpoints_at(given)):
        try:
            found.append(read_checkpoint(path))
        except ReadError as error:
            failed.append((path, error))
    return found, failed


def _checkpoints_at(given: str) -> list[str]:
    """The path itself, or for a folder that is no checkpoint but holds some, those."""
    from lrdoctor.readers.checkpoint_folder import is_checkpoint_folder
    from lrdoctor.readers.storage import is_dir, is_remote

    shown = given if is_remote(given) else Path(given).as_posix()
    if not is_dir(shown) or is_checkpoint_folder(shown):
        return [shown]
    from lrdoctor.readers.folder_tree import Walk

    tree = Walk().read(shown)
    below = [found for folder in (tree, *tree.below()) for found in folder.checkpoints] if tree else []
    return below or [shown]


def _why(error: ReadError) -> str:
    return f"{error.what} {error.why or ''}".strip()


def _as_json(found: Sequence[Checkpoint], failed: Sequence[tuple[str, ReadError]]) -> str:
    from lrdoctor.report.strict import strict

    document = {
        "format_version": FORMAT_VERSION,
        "checkpoints": [_entry(checkpoint) for checkpoint in found],
        "skipped": [{"path": path, "reason": _why(error)} for path, error in failed],
    }
    plain, notes = strict(document)
    return json.dumps({**plain, "notes": notes}, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _entry(checkpoint: Checkpoint) -> dict[str, Any]:
    """The contract's fields of a checkpoint, then its detail."""
    from lrdoctor.readers.resume import missing_parts, rates_agree

    scheduler, optimizer = checkpoint.scheduler, checkpoint.optimizer
    return {
        "path": checkpoint.path,
        "kind": checkpoint.kind,
        "model": checkpoint.model,
        "optimizer": optimizer is not None,
        "scheduler": scheduler is not None,
        "scheduler_family": scheduler.family if scheduler else None,
        "last_epoch": scheduler.last_epoch if scheduler else None,
        "optimizer_step": optimizer.step if optimizer else None,
        "global_step": checkpoint.global_step,
        "epoch": checkpoint.epoch,
        "max_steps": checkpoint.max_steps,
        "framework": checkpoint.framework,
        "recomputes_schedule": checkpoint.recomputes_schedule,
        "lr_agrees": rates_agree(checkpoint),
        "missing": [{"part": one.part, "consequence": one.consequence} for one in missing_parts(checkpoint)],
        "notes": [str(note) for note in checkpoint.notes],
        "optimizer_detail": _optimizer_entry(optimizer) if optimizer else None,
        "schedulers": [_scheduler_entry(state) for state in checkpoint.schedulers],
    }


def _optimizer_entry(optimizer: OptimizerState) -> dict[str, Any]:
    return {
        "name": optimizer.name,
        "step": optimizer.step,
        "param_groups": [dict(group) for group in optimizer.param_groups],
        "param_count": optimizer.param_count,
        "state_size": optimizer.state_size,
    }


def _scheduler_entry(state: SchedulerState) -> dict[str, Any]:
    return {
        "family": state.family,
        "last_epoch": state.last_epoch,
        "step_count": state.step_count,
        "last_lr": list(state.last_lr),
        "base_lrs": list(state.base_lrs),
        "params": {name: list(value) if isinstance(value, tuple) else value for name, value in state.params.items()},
        "children": [_scheduler_entry(child) for child in state.children],
    }


def _write_text(found: Sequence[Checkpoint], output: Path | None) -> None:
    from rich.console import Console

    if output is None:
        _print(found, Console())
        return
    buffer = io.StringIO()
    _print(found, Console(file=buffer, width=120))
    write_answer(buffer.getvalue(), output)


def _print(found: Sequence[Checkpoint], console: Console) -> None:
    for place, checkpoint in enumerate(found):
        if place:
            console.print()
        console.print(checkpoint.path, style="bold", markup=False, highlight=False, soft_wrap=True)
        if console.is_terminal:
            console.print(_table(checkpoint))
        else:
            for label, value in _rows(checkpoint):
                console.print(f"  {label:<9} {value}", markup=False, highlight=False, soft_wrap=True)


def _table(checkpoint: Checkpoint) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 1), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _rows(checkpoint):
        table.add_row(f"  {label}", Text(value))
    return table


def _rows(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    rows = [("format", _format_line(checkpoint))]
    rows.append(("model", "yes" if checkpoint.model else "no"))
    rows.append(("optimizer", _optimizer_line(checkpoint.optimizer)))
    rows += [("scheduler", _scheduler_line(state)) for state in checkpoint.schedulers] or [("scheduler", "no")]
    rows.append(("counters", _counters_line(checkpoint)))
    rows += [("lr", line) for line in _agreement_lines(checkpoint)]
    rows += [("note", str(note)) for note in checkpoint.notes]
    rows.append(("resume", _resume_line(checkpoint)))
    return rows


_FORMATS = {
    "torch": "torch file",
    "torch-legacy": "torch file, layout before 1.6",
    "torch-tar": "torch file, layout before 0.1.10",
    "torchscript": "TorchScript archive",
    "safetensors": "safetensors weights",
    "pickle": "plain pickle",
    "dcp": "distributed checkpoint folder",
}


def _format_line(checkpoint: Checkpoint) -> str:
    """ "torch file by lightning", "folder by transformers"."""
    kind = _FORMATS.get(checkpoint.kind, "folder")
    return f"{kind} by {checkpoint.framework}" if checkpoint.framework else kind


def _optimizer_line(optimizer: OptimizerState | None) -> str:
    if optimizer is None:
        return "no"
    rates = [group.get("lr") for group in optimizer.param_groups]
    lr = ", ".join(f"{rate:.6g}" for rate in dict.fromkeys(rates) if isinstance(rate, int | float))
    parts = [optimizer.name or "class not recognised", f"{len(rates)} parameter group{'s' * (len(rates) != 1)}"]
    parts += [f"lr {lr}"] if lr else []
    parts.append(f"state for {optimizer.state_size} of {optimizer.param_count} parameters")
    return ", ".join(parts)


def _scheduler_line(state: SchedulerState) -> str:
    inner = [*(f"{name}={_value(value)}" for name, value in state.params.items())]
    inner += [_scheduler_line(child) for child in state.children]
    line = f"{state.family or 'class not recognised'}({', '.join(inner)})"
    return f"{line}, last lr {_value(state.last_lr)}" if state.last_lr and not state.children else line


def _value(value: object) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(map(_value, value[:12]))
        return f"[{shown}{', ...' if len(value) > 12 else ''}]"
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.6g}"
    return repr(value) if isinstance(value, str) else str(value)


def _agreement_lines(checkpoint: Checkpoint) -> list[str]:
    """Whether scheduler and optimizer carry the same learning rates: said only where both carry some."""
    from lrdoctor.readers.resume import rates_agree

    agree = rates_agree(checkpoint)
    if agree is None:
        return []
    if agree:
        return ["the scheduler's last lr is the optimizer's lr"]
    return ["the scheduler's last lr is NOT the optimizer's lr: something else set it after the scheduler"]


def _counters_line(checkpoint: Checkpoint) -> str:
    scheduler, optimizer = checkpoint.scheduler, checkpoint.optimizer
    counters = (
        ("scheduler steps h", scheduler.last_epoch if scheduler else None),
        ("scheduler calls c", scheduler.step_count if scheduler else None),
        ("optimizer updates k", optimizer.step if optimizer else None),
        ("global step g", checkpoint.global_step),
        ("epoch e", checkpoint.epoch),
    )
    return ", ".join(f"{name} = {_value(value)}" for name, value in counters if value is not None) or "none"


def _resume_line(checkpoint: Checkpoint) -> str:
    from lrdoctor.readers.resume import missing_parts, never_had_scheduler

    missing = missing_parts(checkpoint)
    if missing:
        return "would lack: " + "; ".join(f"{one.part} ({one.consequence})" for one in missing)
    if checkpoint.recomputes_schedule:
        return (
            f"complete: {checkpoint.recomputes_schedule} keeps no scheduler state by design, "
            "it works the learning rate out from its own counters"
        )
    if never_had_scheduler(checkpoint):
        return "complete: no scheduler state, and the optimizer shows no sign of a scheduler (no initial_lr)"
    return "complete: a resume has model, optimizer and scheduler"

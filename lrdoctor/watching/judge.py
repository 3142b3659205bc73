"""One run as it stands: read what is new of it, and ask the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lrdoctor.auditing import Options, diagnose
from lrdoctor.engine import Evidence, Rule, sibling_of
from lrdoctor.engine.evidence import Sibling
from lrdoctor.errors import ReadError
from lrdoctor.identify import identify
from lrdoctor.model.diagnosis import Diagnosis, Skipped
from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.growing import Growing
from lrdoctor.readers.load import load
from lrdoctor.reconstruct import reconstruct


def examine(files: RunFiles, growing: Growing, options: Options) -> Evidence | Skipped:
    """Files -> what was executed up to now, and which schedule explains it."""
    try:
        run = load(files, growing)
        trajectory = reconstruct(run, lr_tag=options.lr_tag, loss_tag=options.loss_tag, step_tag=options.step_tag)
        return Evidence(run, trajectory, identify(trajectory, run.checkpoints))
    except ReadError as error:
        return Skipped(files.path, f"{error.what} {error.why or ''}".strip())
    except Exception as error:  # the last guard: a fault of ours in one run must not end the watch
        return Skipped(files.path, f"internal error while reading: {type(error).__name__}: {error}")


def seen_by_others(evidence: Evidence, *, growing: bool) -> Sibling:
    """The run as its neighbours may see it: the loss of a run that goes on is not final."""
    found = sibling_of(evidence.run, evidence.trajectory, evidence.identification)
    return replace(found, final_loss=None) if growing else found


def judge(
    evidence: Evidence, siblings: Sequence[Sibling], rules: Sequence[Rule], options: Options, *, growing: bool
) -> Diagnosis:
    """The diagnosis of a run up to now.

    Of a run that is `growing` it is known that it is not complete, so that rules that judge its end stay silent. The
    diagnosis does not call it stopped early for that.
    """
    trajectory = evidence.trajectory
    judged = replace(trajectory, complete=False) if growing else trajectory
    found = diagnose(replace(evidence, trajectory=judged, siblings=tuple(siblings)), rules, options)
    return replace(found, trajectory=replace(trajectory, complete=None)) if growing else found

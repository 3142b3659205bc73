"""What a run page shows, as data: frozen, ready to print, numbers already formatted. No HTML here."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis, TorchReplay, Verdict
from lrdoctor.report import numbers as fmt
from lrdoctor.report.charts import Chart, chart
from lrdoctor.report.pages import Pages
from lrdoctor.report.printable import printable
from lrdoctor.report.view_agreement import AgreementRow, agreement_rows
from lrdoctor.report.view_checkpoints import CheckpointRow, checkpoint_rows
from lrdoctor.report.view_findings import FindingCard, finding_cards
from lrdoctor.report.view_loss import LossView, loss_view
from lrdoctor.report.view_schedule import ScheduleRow, schedule_rows
from lrdoctor.report.view_sources import Reading, reading
from lrdoctor.report.view_trained import TrainedView, trained_view
from lrdoctor.report.words import UNIT_NAMES, schedule_words, verdict_sentence


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict: `kind` chooses colour and icon, `label` is the word beside them."""

    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the strip below the headline; `note` stands below it, `hover` explains it to who asks."""

    label: str
    value: str
    note: str = ""
    hover: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """One run, top to bottom."""

    path: str
    folder: str
    name: str
    badge: Badge
    headline: str
    facts: tuple[Fact, ...]
    chart: Chart | None
    findings: tuple[FindingCard, ...]
    suppressed: tuple[FindingCard, ...]
    loss: LossView
    trained: TrainedView | None
    replay: str
    schedules: tuple[ScheduleRow, ...]
    agreement: tuple[AgreementRow, ...]
    checkpoints: tuple[CheckpointRow, ...]
    reading: Reading
    left_out: tuple[str, ...]


_BADGES: dict[Verdict, Badge] = {
    "lr-faulty": Badge("faulty", "Faulty"),
    "lr-healthy": Badge("healthy", "Healthy"),
    "lr-unknown": Badge("unknown", "Unknown"),
}


def badge(verdict: Verdict) -> Badge:
    return _BADGES[verdict]


def run_page(diagnosis: Diagnosis, pages: Pages) -> RunPage:
    """The view of one diagnosis; `pages` maps rule codes to their pages and may lack any of them."""
    folder, name = split_path(diagnosis.run.path)
    cards = finding_cards(diagnosis, pages)
    return RunPage(
        path=printable(diagnosis.run.path),
        folder=folder,
        name=name,
        badge=badge(diagnosis.verdict),
        headline=headline(diagnosis),
        facts=_facts(diagnosis),
        chart=chart(diagnosis),
        findings=tuple(card for card in cards if not card.suppressed_by),
        suppressed=tuple(card for card in cards if card.suppressed_by),
        loss=loss_view(diagnosis),
        trained=trained_view(diagnosis),
        replay=_replay(diagnosis.replay),
        schedules=schedule_rows(diagnosis),
        agreement=agreement_rows(diagnosis),
        checkpoints=checkpoint_rows(diagnosis.run.checkpoints),
        reading=reading(diagnosis),
        left_out=tuple(printable(text) for text in diagnosis.left_out),
    )


def headline(diagnosis: Diagnosis) -> str:
    """The verdict as a full sentence."""
    sentence = printable(verdict_sentence(diagnosis))
    if diagnosis.verdict != "lr-faulty":  # a fault's sentence begins with the rule's name, which stays as it is written
        sentence = sentence[:1].upper() + sentence[1:]
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def split_path(path: str) -> tuple[str, str]:
    """("runs/a/", "b") of "runs/a/b": the last part is what tells runs apart."""
    text = printable(path).rstrip("/\\") or printable(path)
    cut = max(text.rfind("/"), text.rfind("\\")) + 1
    return text[:cut], text[cut:] or text


def schedule_text(diagnosis: Diagnosis) -> str:
    """The lead group's schedule in words; an en dash where no learning rate was logged."""
    lead = diagnosis.identification.lead
    return schedule_words(lead.fit, diagnosis.trajectory.step_unit) if lead else fmt.NOTHING


def _facts(diagnosis: Diagnosis) -> tuple[Fact, ...]:
    trajectory = diagnosis.trajectory
    unit = UNIT_NAMES[trajectory.step_unit]
    facts = [
        Fact(unit[1].capitalize(), fmt.count(trajectory.steps), _completeness(diagnosis)),
        Fact("LR points", fmt.count(trajectory.lr_points), hover="as logged, overlaps included"),
    ]
    if trajectory.lead is not None:
        facts.append(
            Fact("Peak LR", fmt.lr(trajectory.peak_lr), hover="largest logged LR of the first parameter group")
        )
    if trajectory.epochs is not None:
        facts.append(Fact("Epochs", fmt.count(trajectory.epochs)))
    if trajectory.steps_per_epoch is not None:
        facts.append(Fact("Updates per epoch", fmt.count(trajectory.steps_per_epoch)))
    if trajectory.batch_size is not None:
        facts.append(Fact("Batch size", fmt.count(trajectory.batch_size), hover="examples per optimizer update"))
    if len(trajectory.segments) > 1:
        facts.append(
            Fact("Sessions", fmt.count(len(trajectory.segments)), hover="stretches of training between restarts")
        )
    if trajectory.attempts > 1:
        facts.append(
            Fact("Attempts", fmt.count(trajectory.attempts), hover="from-scratch starts; the longest is shown")
        )
    if diagnosis.run.framework:
        facts.append(Fact("Framework", printable(diagnosis.run.framework)))
    return tuple(facts)


def _completeness(diagnosis: Diagnosis) -> str:
    planned, complete = diagnosis.trajectory.planned_steps, diagnosis.trajectory.complete
    of = f"of {fmt.count(planned)} planned" if planned is not None else ""
    done = {True: "finished", False: "stopped early", None: ""}[complete]
    return ", ".join(part for part in (of, done) if part)


def _replay(replay: TorchReplay | None) -> str:
    if replay is None:
        return ""
    return (
        f"The fix was stepped through torch {printable(replay.torch_version)} with {printable(replay.optimizer)}: "
        f"the closed form and torch's own LR differ by at most {fmt.small(replay.closed_form_error)} of the peak."
    )

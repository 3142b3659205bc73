"""The fix in the framework's words and the state to load, in every report that shows them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrdoctor import synth
from lrdoctor.auditing import Options, audit
from lrdoctor.engine import Evidence, apply_rules, load_rules
from lrdoctor.model.diagnosis import Audit, Counterfactual, Diagnosis
from lrdoctor.report import html, text
from lrdoctor.report.json import document
from lrdoctor.report.resume_code import resume_state
from lrdoctor.report.view import run_page
from lrdoctor.resources import rules_dir
from lrdoctor.schedules import CosineAnnealingLR, Sequence
from lrdoctor.testing import examine


@pytest.fixture(scope="module")
def lost() -> Diagnosis:
    """A cosine of 600 updates whose clock went back to 0 at update 270; the checkpoint there has no scheduler."""
    schedule = Sequence((CosineAnnealingLR(0.1, 600), CosineAnnealingLR(0.0579, 600)), (270,))
    spec = synth.run(
        schedule, steps=600, resume_at=(270,), optimizer="AdamW", checkpoints=(synth.Saved(270, scheduler=False),),
        framework="lightning",
    )  # fmt: skip
    evidence: Evidence = examine(spec)
    findings = apply_rules(load_rules((rules_dir(),)), evidence).findings
    return Diagnosis(
        evidence.run, evidence.trajectory, evidence.identification, findings, "lr-faulty", None, None,
        Counterfactual("not-needed"),
    )  # fmt: skip


def of(diagnosis: Diagnosis) -> Any:
    return next(finding for finding in diagnosis.findings if finding.code == "LR201")


def test_json_has_the_words_and_the_state(lost: Diagnosis) -> None:
    (run,) = document(Audit((lost,), (), "0"))["runs"]
    fix = next(found["fix"] for found in run["findings"] if found["code"] == "LR201")
    assert fix["framework_code"]["framework"] == "lightning"
    assert "CosineAnnealingLR(optimizer, T_max=600" in fix["framework_code"]["code"]
    state = fix["resume_state"]
    assert state["checkpoint"] == "synth/run/step_000270.pt"
    assert (state["scheduler"]["last_epoch"], state["scheduler"]["T_max"]) == (270, 600)
    assert state["param_groups"][0]["lr"] == pytest.approx(CosineAnnealingLR(0.1, 600).lr_at([270])[0])


def test_the_card_shows_both_as_snippets_of_their_own(lost: Diagnosis) -> None:
    card = next(card for card in run_page(lost, {}).findings if card.code == "LR201")
    assert [snippet.label for snippet in card.snippets] == ["Lightning", "The state to load"]
    assert "lrdoctor repair synth/run/step_000270.pt --run synth/run" in card.snippets[1].code


def test_a_training_loop_is_not_shown_beside_its_own_scheduler(lost: Diagnosis) -> None:
    remedy = replace(of(lost).remedy, code="")
    finding = replace(of(lost), code="LR303", remedy=remedy)
    plain = replace(lost, run=replace(lost.run, framework=None), findings=(finding,))
    (card,) = run_page(plain, {}).findings
    assert card.torch_code == ""
    assert [snippet.label for snippet in card.snippets] == ["PyTorch training loop"]


def test_text_shows_them_on_request(lost: Diagnosis) -> None:
    told = {}
    for verbose in (False, True):
        buffer = io.StringIO()
        text.render(Audit((lost,), (), "0"), Console(file=buffer, width=200), report=None, verbose=verbose)
        told[verbose] = buffer.getvalue()
    assert "def configure_optimizers(self):" not in told[False]
    assert "        def configure_optimizers(self):\n" in told[True].replace("      def", "        def")
    assert "scheduler.load_state_dict({" in told[True]


def test_the_page_has_a_copy_button_for_each(lost: Diagnosis, tmp_path: Path) -> None:
    html.write_report(Audit((lost,), (), "0"), tmp_path)
    page = next(path for path in tmp_path.glob("run*.html")).read_text()
    assert page.count('data-copy="code-1') == 1 + 2
    assert "optimizer.param_groups[0].update(" in page


def test_only_findings_about_a_resume_bring_a_state(lost: Diagnosis) -> None:
    assert resume_state(replace(of(lost), code="LR303"), lost) is None


def test_a_real_run_of_transformers_gets_its_lambda_state() -> None:
    folder = Path(__file__).parents[2] / "fixtures" / "runs" / "hf-resume-weights-only"
    (diagnosis,) = audit([str(folder)], Options(simulate=False)).diagnoses
    state = resume_state(of(diagnosis), diagnosis)
    assert state is not None
    assert state.state["last_epoch"] == 240
    assert state.state["_last_lr"][0] == pytest.approx(1e-3 * 240 / 420)  # type: ignore[index]

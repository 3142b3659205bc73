"""What the pages show, asserted on the view model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.diagnosis import Audit, Counterfactual, Diagnosis
from lrdoctor.model.finding import Remedy
from lrdoctor.model.trajectory import Curve, GroupTrajectory
from lrdoctor.report.cost import cost_of
from lrdoctor.report.numbers import NOTHING
from lrdoctor.report.page_names import page_names
from lrdoctor.report.pages import Pages
from lrdoctor.report.rule_text import Span, blocks
from lrdoctor.report.view import run_page
from lrdoctor.report.view_findings import torch_code
from lrdoctor.report.view_index import index_page, on_page, row_from, row_of, row_text
from lrdoctor.schedules import MultiStepLR, Warmup


def test_a_faulty_run_leads_with_its_fault(faulty: Diagnosis, pages: Pages) -> None:
    page = run_page(faulty, pages)
    assert page.badge.label == "Faulty"
    assert "LR101" in page.headline
    assert page.headline.endswith(".")
    assert [card.code for card in page.findings] == ["LR101", "LR201"]
    assert [card.code for card in page.suppressed] == ["LR109"]


def test_a_healthy_run_says_that_the_lr_is_not_the_problem(healthy: Diagnosis) -> None:
    page = run_page(healthy, {})
    assert page.badge.label == "Healthy"
    assert page.headline.startswith("Executed LR equals CosineAnnealingLR with 500 warmup updates")
    assert page.findings == ()


def test_a_run_without_lr_still_shows_its_loss(unknown: Diagnosis) -> None:
    page = run_page(unknown, {})
    assert page.badge.label == "Unknown"
    assert page.chart is not None
    assert page.chart.lr_keys == ()
    assert [key.label for key in page.chart.loss_keys] == ["loss"]
    assert page.schedules == ()


def test_a_card_states_evidence_in_the_units_of_its_keys(faulty: Diagnosis, pages: Pages) -> None:
    evidence = dict(run_page(faulty, pages).findings[0].evidence)
    assert evidence["visited_fraction"] == "1\xa0%"
    assert evidence["largest_lr"] == "4.02e-3"
    assert evidence["total_steps"] == "10,000"
    assert evidence["nothing"] == NOTHING


def test_a_card_carries_its_rules_prose_and_does_without(faulty: Diagnosis, pages: Pages) -> None:
    card = run_page(faulty, pages).findings[0]
    assert [block.kind for block in card.fix] == ["paragraph", "list", "code"]
    assert Span("max_lr / 25", "code") in card.why[0].items[0]
    assert run_page(faulty, {}).findings[0].why == ()


def test_torch_code_builds_the_fix_and_says_where_to_step(faulty: Diagnosis, pages: Pages) -> None:
    code = run_page(faulty, pages).findings[0].torch_code
    assert code.startswith("scheduler = torch.optim.lr_scheduler.OneCycleLR(\n    optimizer,\n    max_lr=0.1,\n")
    assert code.endswith("# scheduler.step() after every optimizer.step()")
    compile(code, "snippet", "exec")


@pytest.mark.parametrize(
    "schedule",
    [
        MultiStepLR(0.1, tuple(range(100, 2000, 100)), 0.5),
        Warmup(MultiStepLR(0.1, (300, 600)), 50, 0.1),
    ],
)
def test_torch_code_is_python_whatever_the_schedule(faulty: Diagnosis, schedule: MultiStepLR | Warmup) -> None:
    compile(torch_code(Remedy("", schedule), faulty), "snippet", "exec")


def test_a_remedys_own_code_comes_first(faulty: Diagnosis) -> None:
    assert run_page(faulty, {}).findings[1].torch_code == 'checkpoint["scheduler"] = scheduler.state_dict()'


def test_groups_with_the_same_reading_share_a_row(faulty: Diagnosis) -> None:
    rows = run_page(faulty, {}).schedules
    assert [row.group for row in rows] == ["lr-SGD/pg1 and 1 more group"]
    assert ("total_steps", "10,000") in rows[0].params


def test_checkpoints_are_in_the_order_of_training_and_missing_state_is_told(faulty: Diagnosis) -> None:
    first, last = run_page(faulty, {}).checkpoints
    assert (first.scheduler_missing, first.h, first.k, first.g, first.e) == (True, NOTHING, "4,000", "4,000", "40")
    assert (last.scheduler, last.h, last.c) == ("OneCycleLR", "100", "101")


def test_an_estimate_never_stands_without_its_interval(faulty: Diagnosis) -> None:
    assert ("90\xa0% interval", "2.22 to 2.43") in run_page(faulty, {}).loss.figures
    bare = replace(faulty, counterfactual=replace(faulty.counterfactual, interval_90=None))
    assert "Estimated with the fix" not in dict(run_page(bare, {}).loss.figures)


def test_an_estimate_shows_its_gain_the_models_behind_it_and_what_would_settle_it(faulty: Diagnosis) -> None:
    told = replace(
        faulty.counterfactual,
        leaned_on=("llama2-400M",),
        settle="a branch of 400 updates",
        notes=("fitted jointly to 2 runs",),
    )
    view = run_page(replace(faulty, counterfactual=told), {}).loss
    assert ("Gain", "0.25 (0.13 to 0.34)") in view.figures
    assert "the prior leans on llama2-400M; fitted jointly to 2 runs." in view.basis
    assert view.basis.endswith("To settle it: a branch of 400 updates.")


def test_of_a_run_that_diverged_the_estimate_stands_alone(faulty: Diagnosis) -> None:
    view = run_page(replace(faulty, counterfactual=replace(faulty.counterfactual, observed_final_loss=None)), {}).loss
    assert "Gain" not in dict(view.figures)
    assert "instead of" not in view.sentence


def test_a_direction_alone_is_told_with_its_reason(faulty: Diagnosis) -> None:
    alone = Counterfactual("estimated", reason="the peak is outside", observed_final_loss=2.5, direction="lower")
    view = run_page(replace(faulty, counterfactual=alone), {}).loss
    assert "lower; by how much cannot be told: the peak is outside" in view.sentence
    assert "Estimated with the fix" not in dict(view.figures)


def test_a_refusal_states_its_reason_and_what_was_left_out(refused: Diagnosis) -> None:
    page = run_page(refused, {})
    assert "25 times the largest LR" in page.loss.sentence
    assert page.loss.figures == ()
    assert page.left_out == ("torch replay: pip install 'lrdoctor[sim]'",)


def test_what_was_read_names_files_choices_and_sessions(faulty: Diagnosis) -> None:
    reading = run_page(faulty, {}).reading
    assert [source.lr_points for source in reading.sources] == ["4,300", "3,500", "2,500"]
    assert reading.sources[2].notes == ("truncated at byte 812",)
    assert reading.choices[0].rejected == "lr-Adam"
    assert [session.how for session in reading.sessions] == ["first session", "resumed", "resumed"]


def test_the_index_counts_verdicts_and_keeps_numbers_to_sort_by(audit: Audit) -> None:
    page = index_page(audit, page_names([d.run.path for d in audit.diagnoses]))
    assert {total.label: total.value for total in page.totals} == {
        "All runs": "4",
        "Faulty": "2",
        "Unknown": "1",
        "Healthy": "1",
    }
    assert page.headline == "2 runs of 4 with a learning-rate fault; 1 could not be judged."
    assert [row.path for row in page.rows][2:] == ["runs/no-lr/results.csv", "runs/gpt-small"]  # dearest first
    row = next(row for row in page.rows if row.path == "runs/resnet-onecycle")
    assert (row.cost, row.share) == ("0.25 of the loss (10 %)", pytest.approx(0.0977, abs=1e-4))
    assert (row.steps, row.steps_key, row.lr_points) == ("10,000", 10_000, "10,300")
    assert [tag.code for tag in row.tags] == ["LR101", "LR201"]
    assert row.spark.executed
    assert row.spark.fix
    assert not page.rows[2].spark.executed
    assert (page.filters[0].choices[0].value, page.filters[0].choices[0].count) == (row.fault, "2")


def test_a_run_that_was_not_estimated_is_ranked_by_its_summed_learning_rate(refused: Diagnosis) -> None:
    assert cost_of(refused).text.endswith("× less LR")
    assert cost_of(refused).share is None


def test_a_row_survives_being_written(faulty: Diagnosis) -> None:
    row = row_of(faulty, "a.html")
    assert row_from(row_text(row)) == row


def test_a_written_row_is_given_its_page_whatever_its_words_are(faulty: Diagnosis) -> None:
    row = replace(row_of(faulty), headline='"page":"" </script>', below='page":""')
    text = on_page(row_text(row), "a.html")
    assert row_from(text) == replace(row, page="a.html")
    assert "<" not in text


def test_the_headline_clears_no_run_that_could_not_be_judged(audit: Audit) -> None:
    unknown = tuple(one for one in audit.diagnoses if one.verdict == "lr-unknown")
    sound = tuple(one for one in audit.diagnoses if one.verdict == "lr-healthy")

    def headline(diagnoses: tuple[Diagnosis, ...]) -> str:
        return index_page(replace(audit, diagnoses=diagnoses), [f"{i}.html" for i in range(len(diagnoses))]).headline

    assert headline(sound) == "No learning-rate fault found in 1 run."
    assert headline((*sound, *unknown)) == "No learning-rate fault found in 1 run; 1 could not be judged."
    assert headline(unknown) == "1 run, and not enough was logged to judge any of them."
    assert headline(()) == "No training run was found."


def test_page_names_are_safe_readable_and_distinct() -> None:
    names = page_names(["runs/A b/ü", "runs/a_b/u", "/", "", "../../etc/passwd", "x" * 300, "runs/a", "runs/a"])
    assert len({name.lower() for name in names}) == 8
    assert all(len(name) < 90 and name.isascii() and "/" not in name and ".." not in name for name in names)
    assert names[6].startswith("run-runs-a-")


def test_page_names_do_not_depend_on_the_other_runs() -> None:
    assert page_names(["a", "b"])[1] == page_names(["b"])[0]


def test_rule_prose_keeps_text_that_is_not_markdown() -> None:
    (block,) = blocks("a * b and a lone ` tick")
    assert block.items == ((Span("a * b and a lone ` tick"),),)


def test_many_groups_are_named_not_all_drawn(faulty: Diagnosis) -> None:
    lead = faulty.trajectory.groups[0]
    groups = tuple(GroupTrajectory(f"g{i}", "t", lead.steps, lead.lr, lead.segment) for i in range(60))
    page = run_page(replace(faulty, trajectory=replace(faulty.trajectory, groups=groups)), {})
    assert page.chart is not None
    assert page.chart.notes == ("35 more parameter groups are not drawn.",)


def test_a_loss_that_is_not_finite_is_marked(unknown: Diagnosis) -> None:
    values = np.linspace(3.0, 2.0, 100)
    values[40:] = np.nan
    curve = Curve("loss", "train-loss", floats(np.arange(100)), floats(values), ints(np.zeros(100)))
    page = run_page(replace(unknown, trajectory=replace(unknown.trajectory, curves=(curve,))), {})
    assert page.chart is not None
    assert [key.label for key in page.chart.loss_keys] == ["loss", "not finite (60)"]

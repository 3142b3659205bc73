"""The check from paths to exit status: what is looked at, what is set aside, what it is compared with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lrdoctor.errors import NothingReadableError, SettingsError, UsageError

from .conftest import FAULTY, GOOD


def codes(result) -> list[tuple[str, str | None]]:
    document = json.loads(result.stdout)
    return [(found["code"], found["suppressed_by"]) for one in document["configs"] for found in one["findings"]]


def write(project: Path, **files: str) -> None:
    for name, text in files.items():
        path = project / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "fail_on", "status"),
    [(GOOD, "info", 0), (FAULTY, "error", 0), (FAULTY, "warning", 1), (FAULTY, "never", 0)],
)
def test_the_exit_status_follows_the_gravest_finding(project, run, text, fail_on, status):
    write(project, a_yaml=text)
    assert run("a.yaml", "--fail-on", fail_on).exit_code == status


def test_a_folder_is_searched_and_other_files_in_it_are_passed_over_in_silence(project, run):
    write(project, configs__a_yaml=GOOD, configs__b_yaml="kind: Service\nname: web\n", configs__deep__c_yaml=FAULTY)
    result = run("configs", "--format", "json")
    document = json.loads(result.stdout)
    assert [one["path"] for one in document["configs"]] == ["configs/a.yaml", "configs/deep/c.yaml"]
    assert (document["skipped"], document["passed_over"]) == ([], 1)


def test_a_named_file_that_is_no_config_is_explained(project, run):
    write(project, a_yaml=GOOD, b_yaml="kind: Service\n")
    (skipped,) = json.loads(run("a.yaml", "b.yaml", "--format", "json").stdout)["skipped"]
    assert skipped == {"path": "b.yaml", "reason": "nothing in it speaks of a learning rate"}


def test_nothing_but_other_files_is_an_error_unless_a_hook_hands_them_over(project, run):
    write(project, b_yaml="kind: Service\n")
    with pytest.raises(NothingReadableError, match="No training config"):
        run("b.yaml")
    result = run("b.yaml", "--force-exclude")
    assert (result.exit_code, result.output) == (0, "")


RECORDS = {
    "log.json": '{"mode": "train", "lr": 0.02, "step": 50}\n{"mode": "train", "lr": 0.02, "step": 100}\n',
    "trainer_state.json": json.dumps(
        {"num_train_epochs": 3, "max_steps": 900, "train_batch_size": 8, "logging_steps": 10,
         "log_history": [{"learning_rate": 1e-5, "step": 10}]}
    ),
    "config.yaml": "wandb_version: 1\n_wandb: {value: {}}\n" + GOOD.replace(": ", ": {value: ").replace("\n", "}\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_training_wrote_of_itself_is_no_config(project, run, name):
    write(project, a_yaml=GOOD)
    (project / name).write_text(RECORDS[name], encoding="utf-8")
    document = json.loads(run(".", "--format", "json").stdout)
    assert [one["path"] for one in document["configs"]] == ["a.yaml"]
    assert document["passed_over"] == 1


def test_a_missing_path_is_a_usage_error(project, run):
    with pytest.raises(UsageError, match="No such file"):
        run("nowhere.yaml")


def test_one_broken_file_hides_nothing_else(project, run):
    write(project, a_yaml="learning_rate: {\n", b_yaml=FAULTY)
    result = run("a.yaml", "b.yaml", "--format", "json")
    assert [code for code, _ in codes(result)] == ["LR900", "LR502"]
    assert result.exit_code == 1


def test_git_ignored_and_excluded_files_are_left_alone(project, run, git):
    git("init", "-q")
    write(project, a_yaml=GOOD, out__b_yaml=FAULTY, keep__c_yaml=FAULTY, keep__d_yaml=GOOD)
    (project / ".gitignore").write_text("out/\nkeep/*\n!keep/d.yaml\n", encoding="utf-8")
    paths = [one["path"] for one in json.loads(run(".", "--format", "json").stdout)["configs"]]
    assert paths == ["a.yaml", "keep/d.yaml"]
    paths = [one["path"] for one in json.loads(run(".", "--exclude", "keep", "--format", "json").stdout)["configs"]]
    assert paths == ["a.yaml"]
    assert run("out/b.yaml", "--exclude", "out", "--force-exclude").output == ""
    assert [one["path"] for one in json.loads(run("out", "--format", "json").stdout)["configs"]] == ["out/b.yaml"]


def test_standard_input_is_a_file_with_a_name(project, run):
    result = run("-", "--stdin-filename", "conf/x.yaml", "--format", "json", stdin=FAULTY)
    (one,) = json.loads(result.stdout)["configs"]
    assert (one["path"], [found["code"] for found in one["findings"]]) == ("conf/x.yaml", ["LR502"])


def test_a_comment_sets_a_finding_aside_and_an_idle_one_is_reported(project, run):
    write(
        project,
        a_yaml=FAULTY.replace("0.5\n", "0.5  # lrdoctor: ignore[LR502] as in the paper\n"),
        b_yaml=FAULTY.replace("warmup_ratio", "# lrdoctor: ignore[warmup-length-out-of-range]\nwarmup_ratio"),
        c_yaml=GOOD.replace("1000\n", "1000  # lrdoctor: ignore[LR502]\n"),
        d_yaml="# lrdoctor: ignore-file\n" + FAULTY,
    )
    result = run("a.yaml", "b.yaml", "c.yaml", "d.yaml", "--format", "json", "--fail-on", "info")
    assert codes(result) == [("LR502", "comment")] * 3
    assert result.exit_code == 0
    (remark,) = json.loads(result.stdout)["remarks"]
    assert (remark["path"], remark["line"]) == ("c.yaml", 3)
    assert "ignores nothing" in remark["text"]


def test_a_comment_inside_a_string_is_none(project, run):
    write(project, a_yaml=FAULTY.replace("0.5\n", '0.5\nnote: "# lrdoctor: ignore-file"\n'))
    assert codes(run("a.yaml", "--format", "json")) == [("LR502", None)]


def test_json_is_silenced_by_a_key(project, run):
    text = '{"learning_rate": 1e-4, "per_device_train_batch_size": 8, "max_steps": 100, "warmup_steps": 90}'
    (project / "a.json").write_text(text, encoding="utf-8")
    (project / "b.json").write_text(text.replace("{", '{"//lrdoctor": "ignore[LR502] short", '), encoding="utf-8")
    assert codes(run("a.json", "b.json", "--format", "json")) == [("LR502", None), ("LR502", "comment")]


def test_a_baseline_sets_known_findings_aside_wherever_their_line_moves(project, run):
    write(project, a_yaml=FAULTY)
    assert run("a.yaml", "--write-baseline", "known.json").exit_code == 0
    write(project, a_yaml="# a line more\n" + FAULTY)
    assert codes(run("a.yaml", "--baseline", "known.json", "--format", "json")) == [("LR502", "baseline")]
    write(project, a_yaml=FAULTY.replace("0.5", "0.6"))
    result = run("a.yaml", "--baseline", "known.json", "--format", "json")
    assert codes(result) == [("LR502", None)]
    assert "no longer found" in json.loads(result.stdout)["remarks"][0]["text"]


def test_batch_and_learning_rate_are_compared_with_a_revision(project, run, git):
    write(project, a_yaml=GOOD)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "before")
    write(project, a_yaml=GOOD.replace("size: 8", "size: 64"), b_yaml=FAULTY)
    assert [code for code, _ in codes(run(".", "--against", "HEAD", "--format", "json"))] == ["LR401", "LR502"]
    write(project, a_yaml=GOOD.replace("size: 8", "size: 64").replace("2.0e-05", "6.0e-05"))
    assert [code for code, _ in codes(run(".", "--against", "HEAD", "--format", "json"))] == ["LR502"]


def test_or_with_a_file(project, run):
    write(project, a_yaml=GOOD.replace("size: 8", "size: 64"), old__a_yaml=GOOD)
    result = run("a.yaml", "--against", "old/a.yaml", "--format", "json")
    assert [code for code, _ in codes(result)] == ["LR401"]


def test_only_files_that_changed_can_be_asked_for(project, run, git):
    write(project, a_yaml=FAULTY, b_yaml=GOOD)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "before")
    write(project, b_yaml=FAULTY, c_yaml=FAULTY)
    document = json.loads(run(".", "--diff-base", "HEAD", "--format", "json").stdout)
    assert [one["path"] for one in document["configs"]] == ["b.yaml", "c.yaml"]


def test_what_others_changed_on_the_base_branch_is_no_change_of_this_one(project, run, git):
    """A branch is compared with the commit at which it left its base, wherever that base is now."""
    write(project, a_yaml=GOOD, b_yaml=GOOD)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "before")
    git("checkout", "-qb", "feature")
    write(project, a_yaml=GOOD.replace("size: 8", "size: 64"))
    git("commit", "-qam", "a larger batch")
    git("checkout", "-q", "main")
    write(project, a_yaml=GOOD.replace("size: 8", "size: 64"), b_yaml=FAULTY)
    git("commit", "-qam", "the base moves on")
    git("checkout", "-q", "feature")
    document = json.loads(run(".", "--diff-base", "main", "--format", "json").stdout)
    assert [one["path"] for one in document["configs"]] == ["a.yaml"]
    assert [code for code, _ in codes(run(".", "--against", "main", "--format", "json"))] == ["LR401"]


def test_a_revision_that_is_none_is_a_usage_error_and_no_option_of_git(project, run, git):
    write(project, a_yaml=GOOD)
    git("init", "-q")
    with pytest.raises(UsageError):
        run("a.yaml", "--against", "nonsense")
    with pytest.raises(UsageError, match="no git revision"):
        run("a.yaml", "--against", "--output=pwned")
    assert not (project / "pwned").exists()


def test_sizes_come_from_the_command_line_or_by_pattern_from_the_settings(project, run):
    text = GOOD.replace("max_steps: 1000\n", "num_train_epochs: 2\n").replace("warmup_ratio: 0.05", "warmup_steps: 60")
    write(project, configs__a_yaml=text)

    def steps(*arguments: str) -> int | None:
        return json.loads(run("configs", "--format", "json", *arguments).stdout)["configs"][0]["total_steps"]

    assert steps() is None
    assert steps("--dataset-size", "800", "--world-size", "1") == 200
    (project / "pyproject.toml").write_text(
        '[tool.lrdoctor.sizes."configs/*.yaml"]\ndataset-size = "400..1600"\nworld-size = 2\n', encoding="utf-8"
    )
    assert steps() is None  # a range
    assert steps("--dataset-size", "1600") == 200  # the command line wins, the rest is completed
    assert json.loads(run("configs", "--format", "json").stdout)["configs"][0]["steps_range"] == [50, 200]


def test_a_rule_fires_over_a_range_only_where_it_fires_everywhere(project, run):
    text = GOOD.replace("max_steps: 1000\n", "num_train_epochs: 1\n").replace("warmup_ratio: 0.05", "warmup_steps: 60")
    write(project, a_yaml=text)
    given = ("a.yaml", "--world-size", "1", "--format", "json", "--dataset-size")
    assert codes(run(*given, "400..100000")) == []  # 50 to 12,500 updates
    assert codes(run(*given, "100..400")) == [("LR502", None)]


def test_the_version_is_read_from_the_project_and_the_settings_win(project, run):
    write(project, a_yaml=GOOD)
    (one,) = json.loads(run("a.yaml", "--format", "json").stdout)["configs"]
    assert one["framework_version"] == "4.57.1"
    assert "requirements.txt" in one["assumptions"]["transformers"]
    (project / "pyproject.toml").write_text('[tool.lrdoctor.frameworks]\ntransformers = "5.23"\n', encoding="utf-8")
    assert codes(run("a.yaml", "--format", "json")) == [("LR902", None)]


def test_settings_that_cannot_be_are_refused_with_their_place(project, run):
    write(project, a_yaml=GOOD)
    (project / "pyproject.toml").write_text('[tool.lrdoctor.sizes."*"]\nworld-size = "many"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="whole number or a range"):
        run("a.yaml")


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        ('[tool.lrdoctor]\nfail-onn = "error"', "fail-on"),
        ('[tool.lrdoctor.sizes."*"]\ndataset-sise = 3', "dataset-size"),
        ('[tool.lrdoctor.frameworks]\ntransformer = "4.57"', "transformers"),
        ('[[tool.lrdoctor.schema]]\nmatch = "*"\nlr = "a"\nbatchsize = "b"', "batch-size"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_one_that_is_meant(project, run, table, meant):
    write(project, **{"a_yaml": GOOD, "pyproject.toml": table})
    with pytest.raises(SettingsError, match=f"did you mean `{meant}`"):
        run("a.yaml")


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_a_key_that_stands_twice_is_reported_where_it_stood_first(project, run, name):
    texts = {"a.yaml": "learning_rate: 2.0e-05\n" + GOOD, "a.json": "{%s}"}
    pairs = ('"learning_rate": 1e-5', '"learning_rate": 2e-5', '"per_device_train_batch_size": 8', '"max_steps": 500')
    (project / name).write_text(texts[name].replace("%s", ",\n".join(pairs)), encoding="utf-8")
    (one,) = json.loads(run(name, "--format", "json").stdout)["configs"]
    (finding,) = one["findings"]
    assert (finding["code"], finding["key"], finding["line"]) == ("LR902", "learning_rate", 1)
    assert one["schedule"]["peak_lr"] == 2e-5


def test_a_change_that_touches_no_config_is_no_failure(project, run, git):
    write(project, a_yaml=FAULTY)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "before")
    result = run(".", "--diff-base", "HEAD")
    assert (result.exit_code, result.stdout) == (0, "0 configs, no finding; 1 file unchanged.\n")


def test_text_of_another_encoding_is_refused_at_its_place(project, run):
    (project / "a.yaml").write_bytes(GOOD.encode() + "note: größe\n".encode("latin-1"))
    (finding,) = json.loads(run("a.yaml", "--format", "json").stdout)["configs"][0]["findings"]
    assert (finding["code"], finding["line"], finding["column"]) == ("LR900", 6, 9)


def test_the_output_does_not_depend_on_the_order_of_paths(project, run):
    write(project, a_yaml=FAULTY, b_yaml=FAULTY, c_yaml=GOOD)
    assert run("c.yaml", "a.yaml", "b.yaml", "--format", "json").stdout == run(".", "--format", "json").stdout


def test_a_config_bigger_than_any_is_not_parsed(project, run):
    write(project, a_yaml=GOOD + "# " + "x" * 1_000_000)
    with pytest.raises(NothingReadableError, match="No training config"):
        run("a.yaml")


PLAIN = """\
lr: 1.0e-3
optimizer: AdamW
batch_size: 256
total_steps: 20000
warmup: {steps: 500, start_factor: 0.01}
scheduler: {name: CosineAnnealingLR, T_max: 19500, eta_min: 1.0e-5}
"""


def test_a_schedule_of_ones_own_is_written_in_torchs_words(project, run):
    write(project, lrdoctor_yaml=PLAIN)
    (one,) = json.loads(run("lrdoctor.yaml", "--format", "json").stdout)["configs"]
    assert (one["framework"], one["total_steps"], one["findings"]) == ("plain", 20000, [])
    assert one["schedule"]["warmup"] == {"kind": "linear", "steps": 500, "start_factor": 0.01}
    assert one["schedule"]["horizon_steps"] == 20000
    write(project, lrdoctor_yaml=PLAIN.replace("19500", "39500"))
    assert codes(run("lrdoctor.yaml", "--format", "json")) == [("LR303", None)]


@pytest.mark.parametrize(
    ("before", "after", "key", "cure"),
    [
        ("total_steps", "totl_steps", "totl_steps", "Write `total_steps`."),
        ("{steps: 500", "{step: 500", "warmup.step", "Write `steps`."),
        ("CosineAnnealingLR", "CosineAnealingLR", "scheduler.name", "Write `CosineAnnealingLR`."),
        (", T_max: 19500", "", "scheduler.name", "Give `T_max` beside the name."),
    ],
)
def test_a_name_in_it_that_is_none_is_an_error_with_the_one_that_is_meant(project, run, before, after, key, cure):
    write(project, lrdoctor_yaml=PLAIN.replace(before, after))
    result = run("lrdoctor.yaml", "--format", "json")
    (finding,) = json.loads(result.stdout)["configs"][0]["findings"]
    assert (finding["code"], finding["key"], finding["fix"]["summary"]) == ("LR900", key, cure)
    assert result.exit_code == 1


SCHEMA = """\
[[tool.lrdoctor.schema]]
match = "experiments/*.json"
lr = "train.lr"
batch-size = "train.batch"
accumulation = "train.accum"
total-steps = "train.steps"
warmup-steps = "train.warmup"
scheduler = "cosine"
"""
OWN = '{"train": {"lr": 1e-5, "batch": 32, "accum": 4, "steps": 5000, "warmup": 4000}}'


def test_a_schema_maps_the_keys_of_a_trainer_of_ones_own(project, run):
    write(project, **{"pyproject.toml": SCHEMA, "experiments__a.json": OWN})
    (one,) = json.loads(run("experiments", "--world-size", "1", "--format", "json").stdout)["configs"]
    assert (one["schedule"]["peak_lr"], one["batch_size"], one["total_steps"]) == (1e-5, 128, 5000)
    (finding,) = one["findings"]
    assert (finding["code"], finding["key"], finding["line"]) == ("LR502", "train.warmup", 1)


def test_a_schema_with_a_name_that_is_none_is_refused(project, run):
    write(project, **{"pyproject.toml": SCHEMA.replace("total-steps", "totalsteps"), "experiments__a.json": OWN})
    with pytest.raises(SettingsError, match="totalsteps"):
        run("experiments")


def test_what_is_no_regular_file_is_not_waited_for(project, run):
    os.mkfifo(project / "pipe.yaml")
    write(project, a_yaml=GOOD)
    assert json.loads(run(".", "--format", "json").stdout)["passed_over"] == 1

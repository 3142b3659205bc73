"""Each loader reads scalars as its framework does, knows where everything stands, and runs nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.configs.json_tree import read_json
from lrdoctor.configs.python_tree import read_python
from lrdoctor.configs.shell_tree import read_shell
from lrdoctor.configs.toml_tree import read_toml
from lrdoctor.configs.tree import SyntaxProblem
from lrdoctor.configs.yaml_tree import as_omegaconf, as_yacs, read_yaml

# what PyYAML 6.0.3 and OmegaConf 2.4 make of a scalar; both columns were produced by running them
SCALARS = [
    ("1e-4", "1e-4", 1e-4),
    ("5E-5", "5E-5", 5e-5),
    ("2e5", "2e5", 2e5),
    ("1.0e5", "1.0e5", 1e5),
    ("1.0e-4", 1e-4, 1e-4),
    ("1.e-4", 1e-4, 1e-4),
    (".5", 0.5, 0.5),
    ("1_000", 1000, 1000),
    ("010", 8, 8),
    ("1:30", 90, 90),
    ("off", False, False),
    ("None", "None", "None"),
    ("null", None, None),
    ('"1e-4"', "1e-4", "1e-4"),
]


@pytest.mark.parametrize(("text", "pyyaml", "omegaconf"), SCALARS)
def test_yaml_scalars_are_read_as_pyyaml_and_as_omegaconf_read_them(text, pyyaml, omegaconf):
    root = read_yaml(f"lr: {text}\n", "a.yaml")
    assert root.plain_value() == {"lr": pyyaml} == yaml.safe_load(f"lr: {text}\n")
    assert as_omegaconf(root).plain_value() == {"lr": omegaconf}


def test_yacs_evaluates_strings_as_literals():
    root = as_yacs(read_yaml('STEPS: (60000, 80000)\nBASE_LR: 1e-4\nNAME: "Warmup"\n', "a.yaml"))
    assert root.plain_value() == {"STEPS": [60000, 80000], "BASE_LR": 1e-4, "NAME": "Warmup"}


def test_yaml_places_count_from_one_and_span_key_and_value():
    root = read_yaml("a: 1\nb:\n  lr: 0.1\n", "a.yaml")
    place = root.place_of("b.lr")
    assert (place.line, place.column, place.end_line, place.end_column) == (3, 3, 3, 10)


def test_yaml_merge_keys_and_aliases_are_followed():
    root = read_yaml("base: &b {lr: 0.1, wd: 0.2}\nrun:\n  <<: *b\n  lr: 0.3\n", "a.yaml")
    assert root.get("run").plain_value() == {"lr": 0.3, "wd": 0.2}


def test_a_file_of_aliases_does_not_unfold():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    root = read_yaml("\n".join(lines), "bomb.yaml")
    assert len(root.value) == 12  # ten to the eleventh values, had they been copied


def test_yaml_that_contains_itself_is_a_problem_with_a_place():
    with pytest.raises(SyntaxProblem, match="contains itself"):
        read_yaml("a: &a\n  b: *a\n", "a.yaml")


def test_unknown_tags_are_text_and_construct_nothing():
    root = read_yaml("a: !!python/object/apply:os.system ['echo owned']\nlr: !custom 0.1\n", "a.yaml")
    assert root.get("lr").value == "0.1"
    assert root.get("a").plain_value() == ["echo owned"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1).filter(lambda k: "." not in k), inner),
        max_leaves=20,
    ),
    st.sampled_from([None, 2, "\t"]),
)
def test_json_is_read_as_python_reads_it(value, indent):
    assert read_json(json.dumps(value, indent=indent), "a.json").plain_value() == value


@pytest.mark.parametrize(
    ("text", "line", "column"), [('{"a": 1,}', 1, 9), ('{\n "a": True\n}', 2, 7), ('{"a" 1}', 1, 6), ("", 1, 1)]
)
def test_broken_json_says_where(text, line, column):
    with pytest.raises(SyntaxProblem) as caught:
        read_json(text, "a.json")
    assert (caught.value.place.line, caught.value.place.column) == (line, column)


def test_json_places_span_key_and_value():
    place = read_json('{\n  "optimizer": {"lr": 1e-4}\n}', "a.json").place_of("optimizer.lr")
    assert (place.line, place.column, place.end_column) == (2, 17, 27)


def test_toml_keys_stand_at_their_lines():
    root = read_toml("# x\n[optimizer]\nname = 'AdamW'\nlr = 2.2e-4  # peak\n[training]\nsteps = 10_000\n", "a.toml")
    assert root.get("training.steps").value == 10_000
    place = root.place_of("optimizer.lr")
    assert (place.line, place.column, place.end_column) == (4, 1, 12)
    with pytest.raises(SyntaxProblem):
        read_toml("a = ", "a.toml")


@pytest.mark.parametrize("depth", [300, 5000, 100_000])
def test_deep_nesting_ends_in_a_problem_or_a_value_and_never_in_a_crash(depth):
    deep = "[" * depth + "]" * depth
    texts = [(read_yaml, f"lr: {deep}"), (read_json, f'{{"lr": {deep}}}'), (read_toml, f"lr = {deep}")]
    texts += [(read_python, f"lr = {deep}"), (read_python, f"lr = {'-' * depth}1"), (read_yaml, "a: {b: " * depth)]
    for read, text in texts:
        with suppress(SyntaxProblem):
            read(text, "deep")


PYTHON = """
import os
base = 2e-5
epochs = 12
optim = dict(lr=base * 4, betas=(0.9, 0.999), name=f'adam-{epochs}')
steps = [epochs * 2 // 3, epochs - 1] + [30]
secret = os.environ['HOME']
cfg = {'lr': optim['lr'], **dict(extra=-1)}
lr = open('/tmp/never').read()
ratio = 1 / 3 if epochs > 10 else 0.5
"""


def test_python_is_worked_out_without_being_run():
    root, _ = read_python(PYTHON, "a.py")
    assert root.get("optim").plain_value() == {"lr": 8e-5, "betas": [0.9, 0.999], "name": "adam-12"}
    assert root.get("steps").plain_value() == [8, 11, 30]
    assert root.get("cfg").plain_value() == {"lr": 8e-5, "extra": -1}
    assert root.get("secret") is None
    assert root.get("lr") is None


def test_python_that_would_do_harm_does_nothing(tmp_path: Path):
    target = tmp_path / "touched"
    read_python(f"import pathlib\npathlib.Path({str(target)!r}).touch()\nx = 9 ** 9 ** 9 ** 9\n", "a.py")
    assert not target.exists()


SCRIPT = r"""#!/bin/bash
LR=2e-5            # peak
MODEL="meta/llama"
EPOCHS=${EPOCHS:-3}
ARGS=(
  --warmup_ratio 0.03
  --lr_scheduler_type "cosine"
)
STEPS=$(wc -l < data.txt)
torchrun --nproc_per_node=8 --nnodes 2 train.py \
    --learning_rate $LR --num_train_epochs ${EPOCHS} \
    --per_device_train_batch_size=4 \
    --max_steps $STEPS --model_name_or_path "$MODEL" \
    "${ARGS[@]}" --bf16 # --weight_decay 0.1
echo done
"""


def test_shell_flags_variables_and_arrays_are_followed():
    (root,) = read_shell(SCRIPT, "a.sh")
    values = {key: node.value for key, node in root.value.items() if not key.startswith("@")}
    assert values["learning_rate"] == "2e-5"
    assert values["num_train_epochs"] == "3"
    assert values["per_device_train_batch_size"] == "4"
    assert values["model_name_or_path"] == "meta/llama"
    assert values["warmup_ratio"] == "0.03"
    assert values["lr_scheduler_type"] == "cosine"
    assert values["bf16"] == "true"
    assert "weight_decay" not in values  # a comment
    assert root.get("@launcher").plain_value() == {"nproc_per_node": "8", "nnodes": "2"}


def test_what_a_shell_command_computes_is_left_out_and_not_guessed():
    (root,) = read_shell(SCRIPT, "a.sh")
    assert root.get("max_steps") is None


def test_shell_flags_stand_where_they_are_written():
    (root,) = read_shell(SCRIPT, "a.sh")
    place = root.place_of("num_train_epochs")
    assert (place.line, place.column) == (11, 25)

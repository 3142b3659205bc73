"""The public configs: recognised, planned and judged as their manifest says; mended, they are silent."""

from __future__ import annotations

import csv
import os
import shutil
from functools import cache
from pathlib import Path

import pytest

from lrdoctor.checking import CheckOptions, check
from lrdoctor.configs import Context, read_plans
from lrdoctor.model.plan import Plan

DATA = Path(os.environ.get("LRDOCTOR_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CONFIGS = DATA / "configs"
MANIFEST = CONFIGS / "MANIFEST.tsv"
pytestmark = pytest.mark.skipif(not MANIFEST.exists(), reason="the real configs are not here (LRDOCTOR_DATA)")

# file -> (framework, peak LR, batch or its part per process, warmup as steps or share, total), None: not in the file
EXPECTED = {
    "relora.yml": ("axolotl", 2e-4, 16, 0.1, None),
    "v4-flash-nvfp4-lora.yaml": ("axolotl", 1e-4, 1, None, None),
    "qwen3_30ba3b_ep_lora_4gpu.yaml": ("axolotl", 3e-3, 1, 0.1, 50),
    "sft-1b.yaml": ("axolotl", 1e-5, 16, 0.1, None),
    "lora.yml": ("axolotl", 1e-5, 4, None, None),
    "config-lora.yml": ("axolotl", 1e-5, 8, 0.1, None),
    "reward-model.yaml": ("axolotl", 2e-5, 4, 0.1, None),
    "gptq-lora.yml": ("axolotl", 1.7e-5, 1, 0.1, None),
    "qwen3_lora_sft.yaml": ("llamafactory", 1e-4, 8, 0.1, None),
    "qwen3_lora_dpo.yaml": ("llamafactory", 5e-6, 8, 0.1, None),
    "train_full_muon.yaml": ("llamafactory", 1e-5, 1, None, 10),
    "train_full_fsdp2.yaml": ("llamafactory", 1e-4, 1, None, 10),
    "llamafactory_config.yaml": ("llamafactory", 5e-5, 16, 50, None),
    "config_full.yaml": ("transformers", 2e-5, 16, 0.1, None),
    "config_qlora.yaml": ("transformers", 5e-6, 16, 0.1, None),
    "config_anthropic.yaml": ("transformers", 5e-7, 2, 0.1, None),
    "config.yaml": ("transformers", 1e-3, 16, 0.1, None),
    "config_distill.yaml": ("transformers", 4e-5, 16, 0.03, None),
    "config_demo_code.yaml": ("transformers", 5e-6, 64, 0.03, 500),
    "config_demo.yaml": ("transformers", 2e-5, 64, 0.1, None),
    "DariusCatrina__MMutliBART-benchmark/training_args.json": ("transformers", 2e-5, 32, 0.1, None),
    "tage64__cbdetect/training_args.json": ("transformers", 5e-5, 8, None, None),
    "8B_lora_single_device.yaml": ("torchtune", 3e-4, 16, 100, None),
    "8B_full_dpo.yaml": ("torchtune", 2e-5, 32, 20, 1000),
    "7B_lora_dpo.yaml": ("torchtune", 5e-4, 32, 100, 1000),
    "11B_lora_multi_dataset.yaml": ("torchtune", 1e-4, 4, 100, 50),
    "llama3_405b.toml": ("torchtitan", 8e-5, 2, 600, 3000),
    "llama3_8b.toml": ("torchtitan", 3e-4, 1, 200, 1000),
    "deepseek_v3_671b.toml": ("torchtitan", 2.2e-4, 4, 2000, 10_000),
    "flux_dev_model.toml": ("torchtitan", 1e-4, 32, 3000, 30_000),
    "qwen3_0.6b.toml": ("torchtitan", 3e-4, 4, 2, 10),
    "qwen3_32b.toml": ("torchtitan", 8e-4, 2, 600, 3000),
    "mpt-7b.yaml": ("llmfoundry", 1.2e-4, 1024, 100, 63_900),
    "hf-llama-3.1-8B.yaml": ("llmfoundry", 6e-4, 8, 100, 50),
    "dbrx-lora-ft.yaml": ("llmfoundry", 1e-4, 16, 0.02, None),
    "mpt-7b_dolly_sft.yaml": ("llmfoundry", 5e-6, 48, 50, None),
    "mcli-llama3-70b-instruct-finetune.yaml": ("llmfoundry", 5e-7, 16, 100, None),
    "Base-RCNN-FPN.yaml": ("detectron2", 0.02, 16, 1000, 90_000),
    "faster_rcnn_R_50_FPN_3x.yaml": ("detectron2", 0.02, 16, 1000, 270_000),
    "mask_rcnn_R_50_FPN_training_acc_test.yaml": ("detectron2", 0.02, 16, 100, 6000),
    "faster_rcnn_R_50_C4.yaml": ("detectron2", None, None, 100, 18_000),  # its base is not in the collection
    "Base-DeepLabV3-OS16-Semantic.yaml": ("detectron2", 0.01, 16, 1000, 90_000),
    "base_10h.yaml": ("fairseq", 2e-5, None, 8000, 25_000),
    "vox_10h_aws.yaml": ("fairseq", 2e-5, None, 8000, 60_000),
    "base_100h.yaml": ("fairseq", 3e-5, None, 8000, 80_000),
    "wav2vec2_large_librivox.yaml": ("fairseq", 5e-3, 512, 32_000, 1_000_000),
    "w2vu.yaml": ("fairseq", 4e-4, 160, None, 150_000),
    "mae_imagenet_huge_clean.yaml": ("fairseq", 5e-4, 512, 16_000, 125_200),
    "rte.yaml": ("fairseq", 2e-5, 16, 122, None),  # max_update or max_epoch, whichever comes first
    "126m.yaml": ("nemo", 6e-4, 256, 636, 600_000),
    "175b_16k.yaml": ("nemo", 0.9e-4, 32, 115, 100),
    "mlperf.yaml": ("nemo", 2e-5, 8, 132.5, 100),
    "300m.yaml": ("nemo", 6e-4, 256, None, 750_000),
    "860m_res_512_v1_1.yaml": ("nemo", 8.192e-5, 8192, 10_000, 50_000),
    "500m_res_64.yaml": ("nemo", 1e-4, 4096, 10_000, 1_250_000),
    "custom_task.yaml": ("nemo", 5e-6, 8, None, None),
    "160M.yml": ("gpt-neox", 6e-4, 32, 0.01, 143_000),
    "170M.yml": ("gpt-neox", 8e-4, 32, 0.01, 500),
    "bf16_125M.yml": ("gpt-neox", 6e-4, 4, 0.01, 320_000),
    "6-9B.yml": ("gpt-neox", 1.2e-4, 16, 0.01, 143_000),
    "pretrain_climax.yaml": ("lightning", 5e-4, 128, 10_000, None),
    "global_forecast_climax.yaml": ("lightning", 5e-4, 128, 10_000, None),
    "eurosat.yaml": ("lightning", 1e-4, 32, None, 200),
    "excerpt_onecycle_per_epoch.yaml": ("lightning", 1e-5, None, None, 360),
    "configs/model/mnist.yaml": ("hydra", 1e-3, None, None, None),
    "configs/experiment/example.yaml": ("hydra", 2e-3, 64, None, 10),
    "1leo23__yolo_Battery/args.yaml": ("ultralytics", None, 32, 3, 200),  # the peak follows its data set
    "2of__Deep-Learning-City-Scale-GeoLocalization-Model/args.yaml": ("ultralytics", 0.000119, 16, 3, 100),
    "AndreSoble__PerformerDualEncoder/ds_config.json": ("deepspeed", 0.01, 20_000, 100, None),
    "Hust1Booze__learn2comparenodes/ds_config.json": ("deepspeed", 1e-4, 8, 100, None),
    "GBATZOLIS__TextVAE/ds_config.json": ("deepspeed", 1e-5, 1, None, None),
    "CSCfi__pytorch-ddp-examples/ds_config.json": ("deepspeed", 1e-3, 400, 1000, None),
    "FSoft-AI4Code__RepoHyper/ds_config.json": ("deepspeed", 0.01, 1, None, None),
    "long-olivia__subliminal_reimplementation/axolotl_config.yaml": ("axolotl", 2e-4, 64, 5, None),
    "thepowerfuldeez__qwen2_1_5b_summarize/axolotl_config.yaml": ("axolotl", 5e-5, 4, 10, None),
}
NO_CONFIG = (
    "zero3.yaml",  # launches processes
    "recipes__dataset_filtering__config_demo.yaml",  # filters a data set
    "Pectics__vad-macbert/training_args.json",  # a script's own keys, beside which Transformers' name is a coincidence
    "configs/train.yaml",  # a composition root whose groups are not all there
    "configs/data/mnist.yaml",
)
FAULTS = {
    "v4-flash-nvfp4-lora.yaml": {("LR902", "warmup_ratio")},
    "qwen3_30ba3b_ep_lora_4gpu.yaml": {("LR107", "warmup_steps")},
    "sft-1b.yaml": {("LR107", "warmup_steps")},
    "config_demo_code.yaml": {("LR902", "num_train_epochs")},
    "DariusCatrina__MMutliBART-benchmark/training_args.json": {("LR902", "lr_scheduler")},
    "11B_lora_multi_dataset.yaml": {("LR502", "lr_scheduler.num_warmup_steps")},
    "hf-llama-3.1-8B.yaml": {("LR502", "scheduler.t_warmup")},
    "base_10h.yaml": {("LR303", "lr_scheduler.decay_steps")},
    "vox_10h_aws.yaml": {("LR303", "lr_scheduler.decay_steps")},
    "w2vu.yaml": {("LR902", "optimization.lr")},
    "175b_16k.yaml": {("LR502", "model.optim.sched.warmup_steps")},
    "mlperf.yaml": {("LR303", "model.optim.sched.max_steps_for_lr_sched")},
    "300m.yaml": {("LR902", "model.optim.sched.max_steps")},
    "860m_res_512_v1_1.yaml": {("LR308", "model.optim.sched.hold_steps")},
    "500m_res_64.yaml": {("LR308", "model.optim.sched.name")},
    "170M.yml": {("LR902", "min_lr"), ("LR902", "lr_decay_iters")},
    "configs/experiment/example.yaml": {("LR602", "model.scheduler.patience")},
    "eurosat.yaml": {("LR602", "lr_scheduler.class_path")},
    "excerpt_onecycle_per_epoch.yaml": {("LR101", "lr_scheduler.init_args.total_steps")},
    "AndreSoble__PerformerDualEncoder/ds_config.json": {("LR902", "max_grad_norm"), ("LR308", "scheduler.type")},
    "Hust1Booze__learn2comparenodes/ds_config.json": {("LR308", "scheduler.type")},
    "CSCfi__pytorch-ddp-examples/ds_config.json": {("LR308", "scheduler.type")},
    "CZtheHusky__rt_torch/ds_config.json": {("LR900", "")},
    "long-olivia__subliminal_reimplementation/axolotl_config.yaml": {("LR900", "optim_args.eps")},
    "llamafactory_config.yaml": {("LR902", "extra_args")},
}


def _rows() -> list[str]:
    if not MANIFEST.exists():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as stream:
        rows = [row["local_path"] for row in csv.DictReader(stream, delimiter="\t")]
    return [row for row in rows if not row.endswith(".csv")]


@cache
def checked():
    return check([str(CONFIGS)])


@cache
def plan_at(path: str) -> Plan:
    file = CONFIGS / path
    (plan,) = read_plans(file, file.read_bytes(), Context())
    assert isinstance(plan, Plan)
    return plan


def entry(table, path: str):
    return next((value for end, value in table.items() if path.endswith(f"/{end}")), None)


def test_the_tables_name_every_file_of_the_manifest():
    known = (*EXPECTED, *NO_CONFIG, "CZtheHusky__rt_torch/ds_config.json")
    assert [path for path in _rows() if not any(path.endswith(f"/{end}") for end in known)] == []


@pytest.mark.parametrize("path", [path for path in _rows() if entry(EXPECTED, path)])
def test_a_config_is_planned_as_the_manifest_says(path):
    framework, peak, batch, warmup, total = entry(EXPECTED, path)
    plan = plan_at(path)
    assert plan.framework == framework
    assert (plan.lr.value if plan.lr is not None else None) == pytest.approx(peak)
    if batch is not None:
        assert plan.batch.total.low == batch
    if warmup is not None:
        assert plan.warmup is not None
        assert warmup in (plan.warmup.fraction, plan.warmup.steps.low)
    assert plan.total.value == total


def test_what_is_no_training_config_is_passed_over_in_silence():
    planned = {one.path for one in checked().configs}
    assert [path for path in _rows() if path.endswith(NO_CONFIG) and str(CONFIGS / path) in planned] == []
    assert checked().skipped == ()


@pytest.mark.parametrize("path", _rows())
def test_the_faults_the_manifest_names_are_found_at_their_keys_and_no_others(path):
    found = {
        (finding.code, finding.key)
        for one in checked().configs
        for finding in one.active
        if one.path == str(CONFIGS / path)
    }
    assert found == (entry(FAULTS, path) or set())


def test_every_finding_stands_on_the_line_of_its_key():
    for one in checked().configs:
        for finding in one.findings:
            if finding.key and finding.place.path == one.path:
                last = finding.key.rsplit(".", 1)[-1].split("[")[0]
                line = one.lines[finding.place.line - 1]
                assert last in line.replace("-", "_"), (one.path, finding.key, line)


DECAYING = ('"WarmupLR"', '"WarmupDecayLR"'), ('"warmup_num_steps"', '"total_num_steps": 20000, "warmup_num_steps"')
MENDED = {
    "v4-flash-nvfp4-lora.yaml": [("lr_scheduler: constant", "lr_scheduler: constant_with_warmup")],
    "qwen3_30ba3b_ep_lora_4gpu.yaml": [("warmup_steps: 0.1", "warmup_ratio: 0.1")],
    "sft-1b.yaml": [("warmup_steps: 0.1", "warmup_ratio: 0.1")],
    "config_demo_code.yaml": [("num_train_epochs: 1", "")],
    "DariusCatrina__MMutliBART-benchmark/training_args.json": [('"lr_scheduler"', '"lr_scheduler_type"')],
    "11B_lora_multi_dataset.yaml": [("num_warmup_steps: 100", "num_warmup_steps: 5")],
    "hf-llama-3.1-8B.yaml": [("t_warmup: 100ba", "t_warmup: 5ba")],
    "base_10h.yaml": [("max_update: 25000", "max_update: 80000")],
    "vox_10h_aws.yaml": [("decay_steps: 72000", "decay_steps: 52000")],
    "w2vu.yaml": [("  lr: [0]\n", "")],
    "175b_16k.yaml": [("max_steps: 100 ", "max_steps: 500000 ")],
    "mlperf.yaml": [("max_steps: 100\n", "max_steps: 54300\n")],
    "300m.yaml": [("max_steps: 650000", "# max_steps")],
    "860m_res_512_v1_1.yaml": [("WarmupHoldPolicy", "CosineAnnealing"), ("hold_steps: 1" + 13 * "0", "min_lr: 8.0e-6")],
    "500m_res_64.yaml": [("name: WarmupPolicy", "name: CosineAnnealing")],
    "170M.yml": [('"lr_decay_style": "constant"', '"lr_decay_style": "cosine"')],
    "configs/experiment/example.yaml": [("patience: 10", "patience: 2")],  # in the model it is composed with
    "eurosat.yaml": [("ReduceLROnPlateau", "CosineAnnealingLR"), ("monitor: val/loss", "T_max: 200")],
    "excerpt_onecycle_per_epoch.yaml": [("total_steps: 80000", "total_steps: 360")],
    "AndreSoble__PerformerDualEncoder/ds_config.json": [("max_grad_norm", "gradient_clipping"), *DECAYING],
    "Hust1Booze__learn2comparenodes/ds_config.json": [*DECAYING],
    "CSCfi__pytorch-ddp-examples/ds_config.json": [*DECAYING],
    "CZtheHusky__rt_torch/ds_config.json": [
        (": True", ": true"),
        ("500000,", "500000"),
        ('}\n    "tensorboard"', '},\n    "tensorboard"'),
        ("/home/cz/bs/rt_torch/history/0410-140554-use-1e-4-1-1-8-768-deepspeed-vanilla", '"history"'),
        ("true,\n\n}", "true\n}"),
    ],
    "long-olivia__subliminal_reimplementation/axolotl_config.yaml": [("eps: 1e-8", "eps: 1.0e-8")],
    "llamafactory_config.yaml": [
        ("\n  ", "\n#  "),
        *((f"\n{key}:", f"\n# {key}:") for key in ("extra_args", "training_stage", "model_name", "booster")),
        ("\ncompute_type:", "\n# compute_type:"),
        ("model_path:", "model_name_or_path:"),
    ],
}


def test_every_file_with_a_fault_is_mended():
    assert set(MENDED) == set(FAULTS)


@pytest.mark.parametrize("end", MENDED)
def test_a_config_whose_fault_is_mended_is_silent(tmp_path, end):
    """The files beside it are there too, as it may be composed with them; each of its faults is in one of them."""
    (path,) = [path for path in _rows() if path.endswith(f"/{end}")]
    repository = Path(*Path(path).parts[:2])
    shutil.copytree(CONFIGS / repository, tmp_path / repository.name, copy_function=shutil.copyfile)
    target = tmp_path / Path(path).relative_to(repository.parent)
    for fault, cure in MENDED[end]:
        file = next(
            one for one in (target, *sorted(tmp_path.rglob("*.yaml"))) if fault in one.read_text(encoding="utf-8")
        )
        file.write_text(file.read_text(encoding="utf-8").replace(fault, cure), encoding="utf-8")
    (one,) = check([str(target)], CheckOptions(select=("ALL",))).configs
    assert one.active == ()
    assert one.broken is None

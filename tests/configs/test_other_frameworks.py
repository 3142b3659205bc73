"""The frameworks' formulas at the points their own source gives, defaults, and files beside the config."""

from __future__ import annotations

import math

import numpy as np
import pytest

DEEPSPEED = """
    {{"train_batch_size": 64, "optimizer": {{"type": "AdamW", "params": {{"lr": 1e-4}}}},
      "scheduler": {{"type": "{}", "params": {{{}}}}}}}
"""


def test_deepspeeds_warmup_is_log_shaped_and_its_first_two_updates_are_the_lowest(plan_of):
    plan = plan_of(DEEPSPEED.format("WarmupLR", '"warmup_max_lr": 1e-4, "warmup_num_steps": 100'), "ds.json")
    lr = plan.built(1000.0).lr_at([0, 1, 11, 100, 500])
    assert lr == pytest.approx([0, 0, 1e-4 * math.log(11) / math.log(100), 1e-4, 1e-4])


def test_deepspeeds_decay_takes_its_own_peak_where_none_is_written(plan_of):
    plan = plan_of(DEEPSPEED.format("WarmupDecayLR", '"total_num_steps": 1000, "warmup_num_steps": 10'), "ds.json")
    assert (plan.lr.value, plan.lr.origin.kind) == (0.001, "default")
    (ignored,) = plan.ignored
    assert (ignored.setting.value, ignored.instead.value, ignored.about) == (1e-4, 0.001, "override")


def test_a_torch_scheduler_in_a_deepspeed_file_is_known_by_name(plan_of):
    plan = plan_of(DEEPSPEED.format("CosineAnnealingLR", '"T_max": 500, "eta_min": 1e-5'), "ds.json")
    assert plan.built(500.0).lr_at([0, 500]) == pytest.approx([1e-4, 1e-5])


AXOLOTL = """
    base_model: some/model
    datasets: []
    micro_batch_size: 2
    learning_rate: 1e-4
    {}
"""


def test_a_deepspeed_scheduler_wins_over_the_trainers(plan_of):
    ds = DEEPSPEED.format("WarmupLR", '"warmup_max_lr": 1e-4, "warmup_num_steps": 100')
    text = AXOLOTL.format("lr_scheduler: cosine\n    max_steps: 1000\n    deepspeed: ds.json")
    plan = plan_of(text, beside={"ds.json": ds})
    assert (plan.scheduler.value, plan.family, plan.reads) == ("WarmupLR", "Constant", ("ds.json",))
    assert [item.setting.key for item in plan.ignored] == ["lr_scheduler"]


@pytest.mark.parametrize(
    ("keys", "steps"),
    [("warmup_steps: 1", 2), ("warmup_ratio: 0.255", 255), ("", 30), ("warmup_steps: 0", None)],
)
def test_axolotls_warmup_has_the_length_its_source_gives_it(plan_of, keys, steps):
    plan = plan_of(AXOLOTL.format(f"max_steps: 1000\n    {keys}"))
    assert (plan.warmup.steps.value if plan.warmup is not None else None) == steps


def test_axolotl_takes_its_accumulation_from_the_batch_size(plan_of):
    assert plan_of(AXOLOTL.format("batch_size: 16"), world_size=4).batch.total.value == 64


def test_llamafactory_reads_numbers_without_a_point(plan_of):
    plan = plan_of("stage: sft\nfinetuning_type: lora\nlearning_rate: 1e-4\nnum_train_epochs: 3\nmax_steps: 100")
    assert (plan.framework, plan.lr.value, plan.misread, plan.fact("adapter")) == ("llamafactory", 1e-4, (), "lora")


TITAN = """
    [optimizer]
    lr = 3e-4
    [training]
    steps = 1000
    [lr_scheduler]
    warmup_steps = 200
    {}
"""


def test_torchtitan_counts_from_one_and_never_reaches_zero(plan_of):
    lr = plan_of(TITAN.format(""), "a.toml").schedule.lr_at([0, 199, 200, 999])
    assert lr == pytest.approx([3e-4 / 200, 3e-4, 3e-4, 3e-4 / 800])


def test_torchtitan_without_decay_is_constant_and_says_who_asked(plan_of):
    plan = plan_of(TITAN.format("decay_ratio = 0.0"), "a.toml")
    assert plan.family == plan.scheduler.value.capitalize() == "Constant"


@pytest.mark.parametrize(
    ("duration", "warmup", "total", "steps"),
    [
        ("1000ba", "100ba", 1000, 100),
        ("2ep", "0.02dur", 1000, 20),
        ("2ep", "1ep", 1000, 500),
        ("1e9tok", "1ba", None, 1),
    ],
)
def test_llmfoundry_reads_times_in_their_units(plan_of, duration, warmup, total, steps):
    text = f"""
        max_duration: {duration}
        global_train_batch_size: 8
        optimizer: {{name: decoupled_adamw, lr: 6.0e-4}}
        scheduler: {{name: cosine_with_warmup, t_warmup: {warmup}, alpha_f: 0.1}}
    """
    plan = plan_of(text, steps_per_epoch=500)
    assert (plan.total.value, plan.warmup.steps.value) == (total, steps)


def test_nemos_trainer_overrides_the_length_of_its_scheduler(plan_of):
    text = """
        trainer: {max_steps: 1000, devices: 8, num_nodes: 1}
        exp_manager: {}
        model:
          global_batch_size: 256
          optim: {name: adam, lr: 6e-4, sched: {name: CosineAnnealing, warmup_steps: 100, min_lr: 6e-5, max_steps: 500}}
    """
    plan = plan_of(text)
    assert plan.schedule.lr_at([0, 99, 100, 1000]) == pytest.approx([6e-4 / 101, 6e-4 * 100 / 101, 6e-4, 6e-5])
    assert [item.setting.key for item in plan.ignored] == ["model.optim.sched.max_steps"]


def test_gpt_neox_takes_dashes_and_its_warmup_as_a_share_of_the_decay(plan_of):
    text = """
        {"train-iters": 1000, "lr-decay-iters": 500, "lr-decay-style": "cosine", "warmup": 0.1, "min_lr": 6e-5,
         "train_micro_batch_size_per_gpu": 4, "optimizer": {"type": "Adam", "params": {"lr": 6.0e-4,}},}
    """
    plan = plan_of(text, "a.yml")
    assert (plan.framework, plan.warmup.steps.value) == ("gpt-neox", 50)
    assert plan.schedule.lr_at([25, 50, 500, 950]) == pytest.approx([3e-4, 6e-4, 6e-5, 6e-4])  # it climbs back


def test_megatrons_flags_are_read_from_a_script(plan_of):
    text = r"""
        ARGS="--lr 1.5e-4 --min-lr 1e-5 --lr-decay-style cosine --train-iters 1000"
        torchrun pretrain_gpt.py $ARGS --lr-warmup-fraction 0.01 --global-batch-size 512
    """
    plan = plan_of(text, "pretrain.sh")
    assert (plan.lr.value, plan.warmup.steps.value, plan.batch.total.value) == (1.5e-4, 10, 512)


def test_fairseqs_three_stages_end_at_the_last_scale(plan_of):
    text = """
        optimization: {max_update: 1000, lr: [1e-3]}
        optimizer: {_name: adam}
        lr_scheduler: {_name: tri_stage, phase_ratio: [0.1, 0.4, 0.5], final_lr_scale: 0.05}
    """
    lr = plan_of(text).schedule.lr_at([0, 100, 500, 1000])
    assert lr == pytest.approx([1e-5, 1e-3, 1e-3, 5e-5])


DETECTRON = "SOLVER: {{BASE_LR: 0.02, STEPS: '(600, 800)', MAX_ITER: 900, WARMUP_ITERS: 100{}}}"


def test_detectron2s_warmup_runs_up_to_the_schedule_at_its_end(plan_of):
    lr = plan_of(DETECTRON.format("")).schedule.lr_at([0, 50, 100, 600, 800])
    assert lr == pytest.approx([2e-5, 2e-5 + 0.5 * (0.02 - 2e-5), 0.02, 0.002, 0.0002])
    cosine = plan_of(DETECTRON.format(", LR_SCHEDULER_NAME: WarmupCosineLR")).schedule
    assert cosine.lr_at([100]) == pytest.approx([0.01 * (1 + math.cos(math.pi / 9))])


def test_a_detectron2_base_completes_the_config_and_a_missing_one_leaves_it_open(plan_of):
    own = "_BASE_: ../base.yaml\nSOLVER: {MAX_ITER: 500}"
    plan = plan_of(own, "a.yaml", beside={"../base.yaml": DETECTRON.format("")})
    assert (plan.lr.value, plan.total.value) == (0.02, 500)
    assert plan_of(own, "a.yaml").lr is None


LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 1e-1}}}}
    lr_scheduler: {{class_path: StepLR, init_args: {{step_size: 30}}}}
    trainer: {{{}}}
    data: {{class_path: D, init_args: {{batch_size: 32}}}}
"""


def test_lightning_steps_once_an_epoch(plan_of):
    plan = plan_of(LIGHTNING.format("max_epochs: 90, accumulate_grad_batches: 2, devices: 4"))
    assert (plan.unit, plan.total.value, plan.batch.total.value) == ("epoch", 90, 256)
    assert plan.schedule.lr_at([29.9, 30, 60]) == pytest.approx([0.1, 0.01, 0.001])


@pytest.mark.parametrize(("trainer", "total"), [("devices: 1", 1000), ("max_epochs: 10, max_steps: 200", 2)])
def test_lightning_ends_with_whichever_limit_comes_first(plan_of, trainer, total):
    assert plan_of(LIGHTNING.format(trainer), steps_per_epoch=100).total.value == total


@pytest.mark.parametrize(("marks", "found"), [("[30, 120]", 1), ("[30, 60]", 0)])
def test_a_milestone_behind_the_end_of_the_run_is_ignored(plan_of, marks, found):
    lightning = LIGHTNING.format("max_epochs: 90").replace("StepLR", "MultiStepLR")
    assert len(plan_of(lightning.replace("step_size: 30", f"milestones: {marks}")).ignored) == found
    mmcv = f"optimizer = dict(lr=0.1)\nlr_config = dict(policy='step', step={marks})\nrunner = dict(max_epochs=90)"
    assert len(plan_of(mmcv, "config.py").ignored) == found


HYDRA = {
    "../train.yaml": "defaults:\n  - _self_\n  - model: net\n  - trainer: default\n  - experiment: null\n",
    "../model/net.yaml": """
        _target_: src.Net
        optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.001}
        scheduler: {_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, _partial_: true, patience: 10}
    """,
    "../trainer/default.yaml": "max_epochs: 10\n",
}


def test_a_hydra_experiment_is_composed_with_the_root_it_overrides(plan_of):
    text = "# @package _global_\ndefaults:\n  - override /model: net\nmodel:\n  optimizer:\n    lr: 0.002\n"
    plan = plan_of(text, "experiment/a.yaml", beside={f"experiment/{name}": body for name, body in HYDRA.items()})
    assert (plan.lr.value, plan.total.value, plan.fact("patience")) == (0.002, 10, 10)
    assert plan.lr.place.path == "experiment/a.yaml"


def test_nanogpt_shifts_its_warmup_by_one(plan_of):
    text = "learning_rate = 6e-4\nmax_iters = 1000\nlr_decay_iters = 1000\nwarmup_iters = 100\nmin_lr = 6e-5"
    lr = plan_of(text, "train.py").schedule.lr_at([0, 99, 100, 1000])
    assert lr == pytest.approx([6e-4 / 101, 6e-4 * 100 / 101, 6e-4, 6e-5])


def test_torchtune_drops_what_does_not_fill_an_update(plan_of):
    text = """
        tokenizer: {_component_: torchtune.models.llama3.llama3_tokenizer}
        batch_size: 2
        gradient_accumulation_steps: 8
        epochs: 3
        optimizer: {_component_: torch.optim.AdamW, lr: 3e-4}
        lr_scheduler: {_component_: torchtune.training.get_cosine_schedule_with_warmup, num_warmup_steps: 10}
    """
    plan = plan_of(text, dataset_size=1000, world_size=1)
    assert plan.total.value == 3 * (500 // 8)
    assert plan.schedule.lr_at([0, 10]) == pytest.approx([0, 3e-4])


def test_mmcvs_warmup_ratio_is_a_factor_and_its_cosine_is_per_epoch(plan_of):
    text = """
        optimizer = dict(type='SGD', lr=0.1)
        lr_config = dict(policy='CosineAnnealing', min_lr=0, warmup='linear', warmup_iters=100, warmup_ratio=0.1)
        runner = dict(type='EpochBasedRunner', max_epochs=10)
    """
    plan = plan_of(text, "config.py", steps_per_epoch=100)
    assert plan.schedule.lr_at([0, 5.5]) == pytest.approx([0.01, 0.05])


def test_every_schedule_starts_and_ends_finite(plan_of):
    plan = plan_of(DETECTRON.format(""))
    assert np.isfinite(plan.schedule.lr_at(np.arange(1000))).all()


def test_llamafactorys_max_samples_bounds_the_length(plan_of):
    text = """
        stage: sft
        finetuning_type: lora
        dataset: a,b
        max_samples: 1000
        learning_rate: 1e-4
        per_device_train_batch_size: 1
        gradient_accumulation_steps: 8
        num_train_epochs: 3.0
    """
    plan = plan_of(text, world_size=1)
    assert (plan.total.low, plan.total.high) == (3, 3 * 250)


def test_auto_in_a_deepspeed_file_is_filled_from_the_trainer_that_names_it(plan_of):
    ds = """
        {"train_micro_batch_size_per_gpu": "auto", "optimizer": {"type": "AdamW", "params": {"lr": "auto"}},
         "scheduler": {"type": "WarmupDecayLR", "params": {"warmup_max_lr": "auto", "warmup_num_steps": "auto",
           "total_num_steps": "auto"}}}
    """
    text = """
        learning_rate: 2.0e-5
        per_device_train_batch_size: 8
        max_steps: 1000
        warmup_ratio: 0.1
        deepspeed: ds.json
    """
    plan = plan_of(text, beside={"ds.json": ds}, versions={"transformers": "4.57"})
    assert (plan.lr.value, plan.family) == (2e-5, "LinearLR")
    lr = plan.schedule.lr_at([0, 11, 101, 1001])
    assert lr == pytest.approx([0, 2e-5 * math.log(11) / math.log(100), 2e-5, 0])

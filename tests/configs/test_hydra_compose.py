"""Hydra's composition: each tree of values below was printed by hydra-core 1.3.8 for the files in TREE."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor.configs import Context
from lrdoctor.configs.hydra_compose import composed
from lrdoctor.configs.keys import interpolated
from lrdoctor.configs.read import load

TREE = {
    "bare.yaml": """\
defaults:
  - model@net: net
  - trainer: [default, long]
  - data@_global_: flat
trainer:
  devices: 2
""",
    "data/flat.yaml": """\
data: {batch_size: 16}
""",
    "data/images.yaml": """\
batch_size: 64
""",
    "experiment/a.yaml": """\
# @package _global_
defaults:
  - override /model/optimizer: sgd
  - override /trainer: long
model:
  optimizer:
    lr: 0.05
data:
  batch_size: 32
""",
    "late.yaml": """\
defaults:
  - data: images
  - model: net
  - trainer: default
  - _self_
trainer:
  max_epochs: 5
data:
  batch_size: 7
""",
    "model/base.yaml": """\
width: 8
depth: 3
""",
    "model/net.yaml": """\
defaults:
  - base
  - optimizer: adam
  - scheduler: cosine
  - /schema@_here_: sizes
_target_: src.Net
width: 64
""",
    "model/optimizer/adam.yaml": """\
_target_: torch.optim.Adam
_partial_: true
lr: 0.001
""",
    "model/optimizer/sgd.yaml": """\
_target_: torch.optim.SGD
_partial_: true
lr: 0.1
""",
    "model/scheduler/cosine.yaml": """\
_target_: torch.optim.lr_scheduler.CosineAnnealingLR
_partial_: true
T_max: ${trainer.max_epochs}
""",
    "schema/sizes.yaml": """\
size: 11
""",
    "train.yaml": """\
defaults:
  - _self_
  - data: images
  - model: net
  - trainer: default
  - optional local: default
  - experiment: null
trainer:
  max_epochs: 5
  devices: 4
data:
  batch_size: 7
""",
    "trainer/default.yaml": """\
max_epochs: 10
""",
    "trainer/long.yaml": """\
defaults:
  - default
max_epochs: 90
""",
}
COSINE = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "_partial_": True}
ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.001}
SGD = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.05}
NET = {"width": 64, "depth": 3, "size": 11, "_target_": "src.Net"}


def net(optimizer, epochs):
    return {**NET, "optimizer": optimizer, "scheduler": {**COSINE, "T_max": epochs}}


COMPOSED = {
    "train.yaml": {
        "trainer": {"max_epochs": 10, "devices": 4}, "data": {"batch_size": 64}, "model": net(ADAM, 10),
    },
    "late.yaml": {"data": {"batch_size": 7}, "model": net(ADAM, 5), "trainer": {"max_epochs": 5}},
    "bare.yaml": {
        "net": net(ADAM, 90), "trainer": {"max_epochs": 90, "devices": 2}, "data": {"batch_size": 16},
    },
    "experiment/a.yaml": {
        "trainer": {"max_epochs": 90, "devices": 4}, "data": {"batch_size": 32}, "model": net(SGD, 90),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_a_config_is_composed_as_hydra_composes_it(tmp_path: Path, name):
    for file, text in TREE.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    document = load(tmp_path / name)
    assert document is not None
    whole, reads = composed(document, Context(load=load))
    assert interpolated(whole).plain_value() == COMPOSED[name]
    chosen = "sgd.yaml" if name.startswith("experiment") else "adam.yaml"
    assert tmp_path / "model" / "optimizer" / chosen in [Path(one).resolve() for one in reads]


def test_a_list_that_leads_to_itself_ends(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("defaults:\n  - a\nlr: 1\n", encoding="utf-8")
    document = load(tmp_path / "a.yaml")
    assert document is not None
    assert composed(document, Context(load=load))[0].plain_value() == {"lr": 1}
